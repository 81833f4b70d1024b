//! Whether the daemon could run a job at all, as far as its configuration tells: nobody is asked.

use super::images;
use crate::model::{Address, Submission, host};
use crate::notify::Notifier;
use crate::pipeline::Pipeline;

/// Checks the remotes, the host of a presigned source, and the webhooks that it names.
///
/// # Errors
/// One line for a person: the thing, the reason, the remedy.
pub(super) fn check(
    pipeline: &Pipeline,
    notifier: &Notifier,
    submission: &Submission,
) -> Result<(), String> {
    let spec = submission.spec.as_ref();
    let mut named = Vec::new();
    match spec.map(|spec| &spec.source) {
        Some(Address::Object(object)) => named.push(&object.remote),
        Some(Address::Presigned(url)) => {
            let checked = pipeline.egress.check(url.expose());
            checked.map_err(|why| format!("presigned source: {why}; {}", host::REMEDY))?;
        }
        None => {}
    }
    named.extend(spec.map(|spec| &spec.target.remote));
    let remotes = &pipeline.remotes;
    if let Some(name) = named.into_iter().find(|name| !remotes.contains_key(*name)) {
        return Err(images::unknown(remotes, name));
    }
    webhooks(notifier, &submission.notify)?;
    images::check(remotes, submission)
}

fn webhooks(notifier: &Notifier, asked: &[String]) -> Result<(), String> {
    let is_known = |name: &String| notifier.names().any(|one| one == name);
    let Some(name) = asked.iter().find(|name| !is_known(name)) else { return Ok(()) };
    let names: Vec<_> = notifier.names().collect();
    let remedy = match names.as_slice() {
        [] => "the configuration has none".to_owned(),
        names => format!("name one of: {}", names.join(", ")),
    };
    let shown: String = name.escape_debug().take(120).collect();
    Err(format!("there is no webhook '{shown}'; {remedy}"))
}
