//! The examples below each command's help. Names and figures are made up, forms are exact.

pub const MAIN: &str = "\
Examples:
  causeway submit commercial:images/ami-0abc.bin gov:images/ --wait
  causeway migrate commercial:ami-0abc gov: --via east-images --landing gov-images --wait
  causeway jobs --state running
  causeway watch

Exit codes: 0 done; 1 a job that was waited for failed or was cancelled, a check of a preflight
failed, the output cannot be written, or a manifest cannot be read on after lines of it were
accepted; 2 usage; 3 the daemon cannot be reached, or cannot do it now; 4 no such job, or no image
that matches; 5 not permitted; 6 refused. Of several refusals the code they agree on, else 6.";

pub const SUBMIT: &str = "\
Examples:
  causeway submit commercial:images/ami-0abc.bin gov:images/ --wait
  causeway submit commercial:images/ami-0abc.bin gov:images/new-name.bin --verify readback --dry-run
  causeway submit --manifest batch.jsonl --label batch=7
  generate | causeway submit --manifest - --output json
  causeway submit commercial:images/ami-0abc.bin gov:images/ --notify ops
  causeway submit --recursive commercial:images/2025/ gov:images/2025/ --include '*.bin'

A manifest is JSON Lines or CSV with a header. Fields: source, target, priority, verify, if_exists,
part_size, storage_class, sse, sse_kms_key_id, tags, labels, expect_blake3, idempotency_key,
notify. In CSV, tags and labels are written k=v;k=v, and notify NAME;NAME. Options given here are
the defaults of its lines.";

pub const STORE: &str = "\
Examples:
  causeway store commercial:ami-0abc commercial:images/ --wait
  causeway store commercial:ami-0abc commercial:archive/2026/ --storage-class GLACIER_IR
  causeway store commercial:ami-0abc commercial:images/ --dry-run

EC2 writes the object as `ami-0abc.bin`. It holds the image's data decrypted: what protects it is
the bucket's encryption.";

pub const RESTORE: &str = "\
Examples:
  causeway restore gov:images/ami-0abc.bin --name golden-web-42 --wait
  causeway restore gov:images/ami-0abc.bin --alias /golden/web --deprecate-after 90d
  causeway restore gov:images/ami-0abc.bin --require-encryption --repair --tag team=web";

pub const MIGRATE: &str = "\
Examples:
  causeway migrate commercial:ami-0abc gov: --via east-images --landing gov-images --wait
  causeway migrate commercial:ami-0abc gov: --via east-images --landing gov-images --dry-run
  causeway migrate commercial:ami-0abc gov: --via east --landing west --alias /golden/web
  causeway migrate commercial:ami-0abc gov: --via east --landing west --retire-source deprecate
  causeway migrate commercial: gov: --filter 'name=golden-*' --latest 3 --via east --landing west
  causeway migrate --manifest batch.csv --via east --landing west --clean-up both

A manifest is JSON Lines or CSV with a header. Fields: image, target, via, landing, name, tags,
copy_tags, alias, deprecate_after, clean_up, retire_source, reuse_stored, allow_decrypted,
require_encryption, repair, priority, labels, idempotency_key, notify. In CSV, tags and labels are
written k=v;k=v, notify NAME;NAME, and what is a flag here is true or false. Options given here are
the defaults of its lines.

With --filter, each chosen image is one job; --dry-run prints the choice alone. The image's id is
appended to an --idempotency-key, so that a repeat takes only images that are new.

--retire-source happens last, and nobody is asked: `deprecate` marks the source image from then on,
`disable` makes it unusable until it is enabled again, `deregister` removes it for good and deletes
its snapshots along.";

/// Clap's own would show every form's arguments as optional.
pub const MIGRATE_USAGE: &str = "\
causeway migrate [OPTIONS] --via <BUCKET> --landing <BUCKET> <IMAGE> <DST>
       causeway migrate [OPTIONS] --via … --landing … --filter <FILTER> --latest <N> <IMAGE> <DST>
       causeway migrate [OPTIONS] --manifest <FILE>";

pub const PREFLIGHT: &str = "\
Examples:
  causeway preflight commercial:images/ami-0abc.bin gov:images/
  causeway preflight migrate commercial:ami-0abc gov: --via east-images --landing gov-images
  causeway preflight store commercial:ami-0abc commercial:images/ --print-policy
  causeway preflight restore gov:images/ami-0abc.bin --output json

Ends with 0 when nothing failed, else with 1. Options of store, restore and migrate go behind them.";

pub const PREFLIGHT_STORE: &str = "\
Examples:
  causeway preflight store commercial:ami-0abc commercial:images/
  causeway preflight store commercial:ami-0abc commercial:images/ --print-policy > policy.json";

pub const PREFLIGHT_RESTORE: &str = "\
Examples:
  causeway preflight restore gov:images/ami-0abc.bin --alias /golden/web
  causeway preflight restore gov:images/ami-0abc.bin --print-policy > policy.json";

pub const PREFLIGHT_MIGRATE: &str = "\
Examples:
  causeway preflight migrate commercial:ami-0abc gov: --via east-images --landing gov-images
  causeway preflight migrate commercial:ami-0abc gov: --via east --landing west --print-policy";

pub const ALIAS: &str = "\
Examples:
  causeway alias rollback 01K7Z3M8Q4T5V6W7X8Y9Z0A1B2

Refused where the parameter names another image by now: somebody else has changed it since.";

pub const JOBS: &str = "\
Examples:
  causeway jobs
  causeway jobs --state failed --state cancelled --label batch=7
  causeway jobs --limit 0 --output json | jq -r .job_id

On a terminal a job is one line: where that is narrow, addresses are shortened and columns left
out. A pipe gets all of it.";

pub const SHOW: &str = "\
Examples:
  causeway show 01K7Z3M8Q4T5V6W7X8Y9Z0A1B2
  causeway show 01K7Z3M8Q4T5V6W7X8Y9Z0A1B2 --output json | jq .failure";

pub const WATCH: &str = "\
Examples:
  causeway watch
  causeway watch 01K7Z3M8Q4T5V6W7X8Y9Z0A1B2
  causeway watch --label batch=7 --output json

Ends when the jobs have ended: 0 when all succeeded, else 1. With --label, jobs that failed or were
cancelled before the watch count too. Ctrl-C ends the watch, not the jobs.";

pub const TOP: &str = "\
Examples:
  causeway top
  causeway top --filter failed
  causeway top --filter batch=7 --every 5s

Keys: arrows choose a job, Enter shows its parts, p r c R pause, resume, cancel and retry it, + and
- change its priority, / filters, s sorts, ? tells the rest, q quits. Any size of terminal will do;
where there is none, use `causeway watch --output json`.";

pub const PAUSE: &str = "\
Examples:
  causeway pause 01K7Z3M8Q4T5V6W7X8Y9Z0A1B2
  causeway pause --label batch=7
  causeway pause --all";

pub const RESUME: &str = "\
Examples:
  causeway resume 01K7Z3M8Q4T5V6W7X8Y9Z0A1B2
  causeway resume --all";

pub const CANCEL: &str = "\
Examples:
  causeway cancel 01K7Z3M8Q4T5V6W7X8Y9Z0A1B2
  causeway cancel --state queued --label batch=7
  causeway cancel --all --yes

On a terminal, --all, --state and --label ask first, with the number of jobs; --yes answers that,
and any answer but yes ends with 6. A script, whose stdin is no terminal, is not asked. A cancelled
job's upload is aborted: what was sent is gone, and `causeway retry` begins anew.";

pub const RETRY: &str = "\
Examples:
  causeway retry 01K7Z3M8Q4T5V6W7X8Y9Z0A1B2
  causeway retry --state failed";

pub const REPRIORITIZE: &str = "\
Examples:
  causeway reprioritize --priority 50 01K7Z3M8Q4T5V6W7X8Y9Z0A1B2
  causeway reprioritize --priority -10 --label batch=7";

pub const LIMITS: &str = "\
Examples:
  causeway limits
  causeway limits show gov
  causeway limits set gov --write-bandwidth 600MiB/s --persist
  causeway limits reset gov";

pub const LIMITS_SET: &str = "\
Examples:
  causeway limits set gov --write-bandwidth 600MiB/s
  causeway limits set commercial --read-bandwidth 5Gbit/s --requests-per-second 2000 --persist
  causeway limits set gov --write-bandwidth unlimited

What is set holds at once, over the schedule, until the schedule next changes something: it also
ends a pause. Without a schedule it holds until the daemon restarts or reloads. With --persist it
also takes the place of the same limits of the configuration, outside of the schedule's entries,
until `causeway limits reset`.";

pub const LIMITS_RESET: &str = "\
Examples:
  causeway limits reset gov

What was set is over, with --persist or without: the configuration's limits and its schedule hold.";

pub const RECEIPT: &str = "\
Examples:
  causeway receipt 01K7Z3M8Q4T5V6W7X8Y9Z0A1B2
  causeway receipt 01K7Z3M8Q4T5V6W7X8Y9Z0A1B2 | jq -r .blake3
  causeway receipt 01K7Z3M8Q4T5V6W7X8Y9Z0A1B2 | jq -r .image.restored.image_id";

pub const STATUS: &str = "\
Examples:
  causeway status
  causeway status --output json | jq '.remotes[] | {remote, credentials_expire_at}'";

pub const DRAIN: &str = "\
Examples:
  causeway drain
  causeway drain --undo";

pub const COMPLETIONS: &str = "\
Examples:
  causeway completions bash > /etc/bash_completion.d/causeway
  causeway completions zsh > \"${fpath[1]}/_causeway\"";

pub const MAN: &str = "\
Examples:
  causeway man --out /usr/local/share/man/man1";
