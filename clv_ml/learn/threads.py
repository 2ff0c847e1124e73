"""Linear algebra on one thread, for fits of a handful of parameters."""

from threadpoolctl import threadpool_limits

one_blas_thread = threadpool_limits.wrap(limits=1, user_api="blas")
"""
Decorator. The matrices are tiny: further threads of BLAS only wait for each other, at full load (a fit of
BG/NBD on 100 customers took four times the processor, and far longer on a machine that does something else),
and the order in which they add changes the last digits.
"""
