"""A synthetic export of each shop system that is known, and what it holds, worked by hand."""

from dataclasses import dataclass, field

SHOPIFY_HEADER = (
    "Name,Email,Financial Status,Paid at,Fulfillment "
    "Status,Currency,Subtotal,Shipping,Taxes,Total,Created at,"
    "Lineitem quantity,Lineitem name,Lineitem price,Cancelled at,Refunded Amount"
)


def shopify(total: str = "100.00") -> str:
    """An order with a refund of 25.00 and a continuation line, and a voided one of 60.00."""
    return "\n".join(
        [
            SHOPIFY_HEADER,
            "#1001,Ann@shop.example,partially_refunded,2025-06-01 10:00:00 "
            "+0200,fulfilled,GBP,90.00,10.00,0.00,"
            f"{total},2025-06-01 10:00:00 +0200,1,Mug,45.00,,25.00",
            "#1001,ann@shop.example,,,,,,,,,2025-06-01 10:00:00 +0200,1,Cup,45.00,,",
            "#1002,bob@shop.example,voided,,,GBP,60.00,0.00,0.00,60.00,2025-06-02 11:00:00 +0200,1,Jug,60.00,"
            "2025-06-02 12:00:00 +0200,0.00",
            "",
        ]
    )


@dataclass(frozen=True)
class Export:
    """
    Files by name, the preset that they are recognised as, the net money and orders of each customer, rows
    that are skipped, the currency, and how many orders of each customer went back whole: no purchases.
    """

    preset: str
    files: dict[str, str]
    customers: dict[str, tuple[int, str]]
    skipped: int
    currency: str = "GBP"
    went_back: dict[str, int] = field(default_factory=dict)


EXPORTS = [
    # 100 - 25; the voided order and the continuation line are skipped
    Export("shopify_orders", {"orders_export.csv": shopify()}, {"ann@shop.example": (1, "75.00")}, 2),
    # 30 + 45.50 - 45.50 (cancelled in full by refund), a total repeated on two lines, one pending, one failed
    Export(
        "woocommerce_orders",
        {
            "orders.csv": "Order Number,Order Status,Order Date,Email (Billing),Order Total Amount,"
            "Order Refund Amount,Item Name,Quantity\n"
            "7,Completed,2025-06-01 10:00,ann@x.example,30.00,0,Mug,1\n"
            "7,Completed,2025-06-01 10:00,ann@x.example,30.00,0,Cup,2\n"
            "8,Refunded,2025-06-02 10:00,ann@x.example,45.50,45.50,Jug,1\n"
            "9,Pending payment,2025-06-03 10:00,bob@x.example,99.00,0,Jug,1\n"
            "10,Failed,2025-06-03 11:00,bob@x.example,99.00,0,Jug,1\n"
        },
        {"ann@x.example": (2, "30.00")},
        3,
        went_back={"ann@x.example": 1},
    ),
    # 20 - 5; failed, test and uncaptured payments are none
    Export(
        "stripe_payments",
        {
            "payments.csv": "id,Created date (UTC),Amount,Amount Refunded,Currency,Captured,Mode,Status,"
            "Customer ID,Customer Email,Refunded date (UTC)\n"
            "ch_1,2025-06-01 10:00:00,20.00,5.00,gbp,true,Live,Paid,cus_a,a@x.example,2025-06-09 08:00:00\n"
            "ch_2,2025-06-01 10:00:00,20.00,0.00,gbp,true,Live,Failed,cus_a,a@x.example,\n"
            "ch_3,2025-06-01 10:00:00,20.00,0.00,gbp,true,Test,Paid,cus_a,a@x.example,\n"
            "ch_4,2025-06-01 10:00:00,20.00,0.00,gbp,false,Live,Paid,cus_b,b@x.example,\n"
        },
        {"cus_a": (1, "15.00")},
        3,
    ),
    # one person behind two customer numbers; 10 + 5.50 paid in two parts, 20; one order cancelled
    Export(
        "olist",
        {
            "olist_orders_dataset.csv": "order_id,customer_id,order_status,order_purchase_timestamp\n"
            "o1,c1,delivered,2025-05-01 10:00:00\no2,c2,shipped,2025-06-01 10:00:00\n"
            "o3,c3,canceled,2025-06-02 10:00:00\n",
            "olist_customers_dataset.csv": "customer_id,customer_unique_id,customer_city\n"
            "c1,ann,sao paulo\nc2,ann,sao paulo\nc3,bob,rio\n",
            "olist_order_payments_dataset.csv": "order_id,payment_sequential,payment_type,payment_value\n"
            "o1,1,card,10.00\no1,2,voucher,5.50\no2,1,card,20.00\no3,1,card,7.00\n",
        },
        {"ann": (2, "35.50")},
        1,
        "BRL",
    ),
    # receipt 1 of two days is two orders; 2.50 + 3.00, and 4.00 - 1.00 given back
    Export(
        "point_of_sale",
        {
            "till.csv": "Date;Time;Receipt No;Card No;Item;Qty;Line Total\n"
            "13.06.2025;10:01;1;77;Bread;1;2,50\n13.06.2025;10:01;1;77;Milk;2;3,00\n"
            "14.06.2025;09:30;1;77;Jam;1;4,00\n14.06.2025;09:31;1;77;Jam;-1;-1,00\n"
        },
        {"77": (2, "8.50")},
        0,
    ),
    # two invoices of one subscription are two orders; void, open and draft are none
    Export(
        "subscription_invoices",
        {
            "invoices.csv": "Invoice Number,Subscription ID,Customer ID,Invoice Date,Amount,Currency,Status\n"
            "i1,s1,ann,2025-05-01,9.99,GBP,Paid\ni2,s1,ann,2025-06-01,9.99,GBP,Paid\n"
            "i3,s2,bob,2025-06-01,9.99,GBP,Void\ni4,s2,bob,2025-06-02,9.99,GBP,Open\n"
        },
        {"ann": (2, "19.98")},
        2,
    ),
    # the month stands first; two lines of one order: 261.96 + 731.94
    Export(
        "superstore",
        {
            "superstore.csv": "Row ID,Order ID,Order Date,Ship Date,Customer ID,Category,Product "
            "ID,Sales,Quantity\n"
            "1,CA-1,11/8/2025,11/11/2025,CG-1,Furniture,P1,261.96,2\n"
            "2,CA-1,11/8/2025,11/11/2025,CG-1,Furniture,P2,731.94,3\n"
            "3,CA-2,6/12/2025,6/16/2025,DV-1,Office,P3,14.62,2\n"
            "4,CA-3,6/30/2025,7/2/2025,DV-1,Office,P3,5.38,2\n"
        },
        {"CG-1": (1, "993.90"), "DV-1": (2, "20.00")},
        0,
    ),
    # a purchase of 30.00, of which 10.00 went back; a scroll is no event
    Export(
        "ga4_events",
        {
            "ga4.csv": "event_date,event_timestamp,event_name,user_pseudo_id,user_id,transaction_id,"
            "purchase_revenue,refund_value,currency\n"
            "20250601,1748772000000000,session_start,p1,,,,,\n20250601,1748772001000000,scroll,p1,,,,,\n"
            "20250601,1748772002000000,purchase,p1,,T1,30.00,,GBP\n"
            "20250603,1748944802000000,refund,p1,,T1,,10.00,GBP\n"
        },
        {"p1": (1, "20.00")},
        1,
    ),
    # money without tax: $20.00 - $5.00 given back
    Export(
        "square_transactions",
        {
            "transactions.csv": "Date,Time,Time Zone,Gross Sales,Discounts,Net Sales,Tax,Tip,Total Collected,"
            "Transaction ID,Event Type,Customer ID,Currency\n"
            "06/21/25,10:00:00,Eastern Time,$20.00,$0.00,$20.00,$1.60,$0.00,$21.60,T1,Payment,C1,GBP\n"
            "06/22/25,10:00:00,Eastern Time,($5.00),$0.00,($5.00),($0.40),$0.00,($5.40),T1,Refund,C1,GBP\n"
        },
        {"C1": (1, "15.00")},
        0,
    ),
    # 50.00 before fees, 20.00 of it given back; an own purchase, its refund, a withdrawal and a pending one
    # are none
    Export(
        "paypal_activity",
        {
            "Download.csv": "Date,Time,TimeZone,Name,Type,Status,Currency,Gross,Fee,Net,From Email Address,"
            "To Email Address,Transaction ID,Reference Txn ID,Balance Impact\n"
            "06/21/2025,10:00:00,PST,Ann,Express Checkout Payment,Completed,GBP,50.00,-1.75,48.25,"
            "Ann@x.example,shop@x.example,TX1,,Credit\n"
            "06/22/2025,10:00:00,PST,Ann,Payment Refund,Completed,GBP,-20.00,0.00,-20.00,"
            "shop@x.example,ann@x.example,TX2,TX1,Debit\n"
            "06/23/2025,10:00:00,PST,Hosting,PreApproved Payment Bill User Payment,Completed,GBP,-9.00,0.00,"
            "-9.00,shop@x.example,host@x.example,TX3,,Debit\n"
            "06/24/2025,10:00:00,PST,,General Withdrawal,Completed,GBP,-19.25,0.00,-19.25,,,TX4,,Debit\n"
            "06/25/2025,10:00:00,PST,Eve,Website Payment,Pending,GBP,70.00,0.00,70.00,"
            "eve@x.example,shop@x.example,TX5,,Memo\n"
            "06/26/2025,10:00:00,PDT,Hosting,Payment Refund,Completed,GBP,+9.00,0.00,9.00,"
            "host@x.example,shop@x.example,TX9,TX3,Credit\n"
        },
        {"ann@x.example": (1, "30.00")},
        4,
    ),
    # 2 pieces for 12.00 together, and 8.50 on another line; a cancelled order
    Export(
        "amazon_orders",
        {
            "orders.txt": "amazon-order-id\tpurchase-date\torder-status\tsku\tquantity\t"
            "currency\titem-price\t"
            "buyer-email\n026-1\t2025-06-01T10:00:00+00:00\tShipped\tA\t2\tGBP\t12.00\ta@m.example\n"
            "026-1\t2025-06-01T10:00:00+00:00\tShipped\tB\t1\tGBP\t8.50\ta@m.example\n"
            "026-2\t2025-06-02T10:00:00+00:00\tCancelled\tB\t1\tGBP\t\ta@m.example\n"
        },
        {"a@m.example": (1, "20.50")},
        1,
    ),
    # 30.00, and an order of 20.00 that was adjusted to 12.00
    Export(
        "etsy_orders",
        {
            "EtsySoldOrders2025.csv": "Sale Date,Order ID,Buyer User ID,Full Name,Number of Items,Currency,"
            "Order Value,"
            "Order Total,Status,Order Net,Adjusted Order Total,Buyer\n"
            "06/21/25,31,annmakes,Ann A,1,GBP,25.00,30.00,,27.00,,Ann A (annmakes)\n"
            "06/23/25,32,annmakes,Ann A,1,GBP,15.00,20.00,,10.00,12.00,Ann A (annmakes)\n"
        },
        {"annmakes": (2, "42.00")},
        0,
    ),
    # a guest has an address; a cancelled and a refunded order are none
    Export(
        "bigcommerce_orders",
        {
            "orders.csv": "Order ID,Order Status,Order Date,Order Time,Order Total (inc tax),"
            "Order Total (ex tax),"
            "Customer ID,Customer Email,Order Currency Code\n"
            "1,Completed,21/06/2025,10:00:00,24.0000,20.0000,0,Ann@x.example,GBP\n"
            "2,Shipped,22/06/2025,10:00:00,12.0000,10.0000,7,ann@x.example,GBP\n"
            "3,Cancelled,22/06/2025,11:00:00,12.0000,10.0000,7,ann@x.example,GBP\n"
            "4,Refunded,23/06/2025,11:00:00,12.0000,10.0000,7,ann@x.example,GBP\n"
        },
        {"ann@x.example": (2, "36.00")},
        2,
    ),
    # 1,234.50, and an order that was refunded in full
    Export(
        "magento_orders",
        {
            "export.csv": "ID,Purchase Point,Purchase Date,Bill-to Name,Grand Total (Base),"
            "Grand Total (Purchased),Status,"
            "Customer Email,Total Refunded\n"
            '000000001,Main,"Jun 21, 2025, 10:15:03 AM",Ann A,"£1,234.50","£1,'
            '234.50",complete,ann@x.example,£0.00\n'
            '000000002,Main,"Jun 22, 2025, 1:15:03 PM",Ann A,£30.00,£30.00,closed,ann@x.example,£30.00\n'
            '000000003,Main,"Jun 23, 2025, 1:15:03 PM",Ann A,£30.00,£30.00,pending,ann@x.example,£0.00\n'
        },
        {"ann@x.example": (2, "1234.50")},
        1,
        went_back={"ann@x.example": 1},
    ),
    # a sale, its line and its payment are three rows, and 18.00 once; a voided sale
    Export(
        "lightspeed_sales",
        {
            "sales.csv": "Date,Receipt number,Line type,Customer code,Customer name,Quantity,"
            "Total,Paid,Register,Status,Sku\n"
            "2025-06-21 10:00:00,51,Sale,ANN-1,Ann,2,18.00,18.00,Till,CLOSED,\n"
            "2025-06-21 10:00:00,51,Sale Line,,,2,18.00,,Till,,MUG\n"
            "2025-06-21 10:00:00,51,Payment,,,,,18.00,Till,,\n"
            "2025-06-22 10:00:00,52,Sale,ANN-1,Ann,1,9.00,9.00,Till,VOIDED,\n"
        },
        {"ANN-1": (1, "18.00")},
        3,
    ),
]
