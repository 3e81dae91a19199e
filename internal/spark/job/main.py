"""What spark-submit runs."""

import sys

from millstream_job.app import main

if __name__ == "__main__":
    sys.exit(main())
