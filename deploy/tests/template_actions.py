"""The template's policy has the actions of the documents in deploy/iam, which a test holds to the daemon's
requests, and those on the bucket's key; no others."""

import json
import pathlib
import sys

from cfnlint.decode import cfn_yaml

DEPLOY = pathlib.Path(__file__).parent.parent
KEY = {"kms:Decrypt", "kms:GenerateDataKey"}

template = cfn_yaml.load(str(DEPLOY / "cloudformation" / "bastion.yaml"))
statements = template["Resources"]["Policy"]["Properties"]["PolicyDocument"]["Statement"]
allowed = {action for statement in statements for action in statement["Action"]}

needed = set(KEY)
for document in (DEPLOY / "iam").glob("*.json"):
    for statement in json.loads(document.read_text())["Statement"]:
        needed.update(statement["Action"])

for action in sorted(needed - allowed):
    print(f"missing in the template: {action}")
for action in sorted(allowed - needed):
    print(f"nothing needs it: {action}")
sys.exit(allowed != needed)
