"""Run the embedded model server: `python -m unified_ranker.serving.model_server BASE_PATH`."""

import sys

from unified_ranker.serving.model_server.server import main, use_one_thread_an_op

if __name__ == "__main__":
    use_one_thread_an_op()
    sys.exit(main())
