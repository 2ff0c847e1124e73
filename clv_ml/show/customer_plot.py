"""One customer's drivers as a picture."""

from pathlib import Path

from clv_ml.errors import InputError, SettingsError
from clv_ml.operate.customers import CustomerExplanation
from clv_ml.serve.narrative import OTHERS
from clv_ml.show.charts import waterfall
from clv_ml.warehouse.safe_files import replace_file

PICTURES = (".png", ".svg", ".pdf")


def plot_customer(explanation: CustomerExplanation, path: Path) -> None:
    """
    Writes the drivers as a waterfall from the base to the prediction: .png, .svg or .pdf.

    Raises:
        SettingsError: If the file's ending is another one.
        InputError: If no model scored the customer, so that there is nothing to show; or the folder is
            absent.
    """
    if path.suffix.lower() not in PICTURES:
        raise SettingsError(f"{path} must end in {', '.join(PICTURES)}.")
    if not explanation.drivers:
        raise InputError(f"No model scored {explanation.customer_id!r}, so there are no drivers to draw.")
    if not path.parent.is_dir():
        raise InputError(f"There is no folder {path.parent}. Create it first.")
    # what is no driver of its own comes last, however much it is together
    named = sorted(explanation.drivers, key=lambda driver: driver.name == OTHERS)
    title = f"Customer {explanation.customer_id}: what moved the prediction, {explanation.currency}"
    steps = [(driver.phrase, driver.contribution) for driver in named]
    replace_file(path, waterfall(title, explanation.base or 0.0, steps, path.suffix.lower()[1:]))
