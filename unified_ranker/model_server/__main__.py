"""Run the embedded model server: `python -m unified_ranker.model_server BASE_PATH`."""

import sys

from unified_ranker.model_server.embedded_server import prepare_process, run_model_server

if __name__ == "__main__":
    prepare_process()
    sys.exit(run_model_server())
