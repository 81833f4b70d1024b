"""The template's policy has the actions of the documents in deploy/iam, which a test holds to the daemon's
requests, and those on the bucket's key; no others. Each is under the condition that it has there. And what the
bastion's first boot needs is there before it."""

import json
import pathlib
import sys

from cfnlint.decode import cfn_yaml

DEPLOY = pathlib.Path(__file__).parent.parent
KEY = {"kms:Decrypt", "kms:GenerateDataKey"}


def conditions(statements):
    """The conditions that an action is allowed under, as text; of none, `null`."""
    found = {}
    for statement in statements:
        for action in statement["Action"]:
            told = json.dumps(statement.get("Condition"), sort_keys=True)
            found.setdefault(action, set()).add(told)
    return found


template = cfn_yaml.load(str(DEPLOY / "cloudformation" / "bastion.yaml"))
allowed = conditions(template["Resources"]["Policy"]["Properties"]["PolicyDocument"]["Statement"])

needed = {}
for document in (DEPLOY / "iam").glob("*.json"):
    for action, told in conditions(json.loads(document.read_text())["Statement"]).items():
        needed.setdefault(action, set()).update(told)

faults = [f"missing in the template: {action}" for action in sorted((KEY | needed.keys()) - allowed.keys())]
faults += [f"nothing needs it: {action}" for action in sorted(allowed.keys() - needed.keys() - KEY)]
faults += [
    f"{action} is under {sorted(allowed[action])} in the template, and should be under {sorted(needed[action])}"
    for action in sorted(allowed.keys() & needed.keys())
    if allowed[action] != needed[action]
]
# A policy beside the role comes whenever it comes; and rights, like routes, come later than what they are for.
resources = template["Resources"]
faults += [f"{name} may come after the instance" for name in resources if resources[name]["Type"] == "AWS::IAM::Policy"]
boot = resources["Instance"]["Properties"]["UserData"]["Fn::Base64"]["Fn::If"][1]["Fn::Sub"]
if "seq 30" not in boot or "sleep 10" not in boot:
    faults.append("the package is asked for once, at the first boot")
print("\n".join(faults))
sys.exit(bool(faults))
