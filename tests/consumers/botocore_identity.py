# Prints the ARN of the identity that botocore finds, before and after each line of the standard input: a new session each time.
import sys

import botocore.session


def identity():
    return botocore.session.get_session().create_client("sts").get_caller_identity()["Arn"]


print(identity(), flush=True)
for _ in sys.stdin:
    print(identity(), flush=True)
