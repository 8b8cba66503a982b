"""One thread per numerical library: tests run side by side, and threads that spin for work slow each other tenfold."""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
