//! Taking a job into the queue.

use serde::{Deserialize, Serialize};

use super::audit::Entry;
use super::book::Draft;
use super::flush::Ticket;
use super::secret::Entering;
use super::store::{self, Table};
use super::{Error, Ledger, answered, clock, integrity, key, secret};
use crate::model::{Address, Job, JobId, Submission, TransferSpec};

/// A submission that is durable.
#[derive(Debug, Clone, PartialEq)]
pub struct Submitted {
    pub job: Job,
    /// The idempotency key was known: this is the job that it made then.
    pub existed: bool,
}

/// What an idempotency key stands for.
#[derive(Serialize, Deserialize)]
pub(super) struct KeyUse {
    pub(super) job: JobId,
    /// Hexadecimal BLAKE3 of the spec's JSON. A spec can hold a secret, so it is not kept whole.
    pub(super) spec: String,
}

impl Ledger {
    /// Takes a job into the queue. With an idempotency key that is known for the same spec, gives
    /// the job that it made.
    ///
    /// # Errors
    /// [`Error::KeyReused`] where the key is known for another spec.
    pub async fn submit(&self, submission: Submission, actor: &str) -> Result<Submitted, Error> {
        let Some(secret) = secret::of(submission.spec.as_ref()).map(str::to_owned) else {
            return answered(self.enter_submission(submission, None, actor)).await;
        };
        let id = self.reserve_id()?;
        let kept = self.keep_secret(id, secret).await;
        let entered = kept.and_then(|_entering| self.enter_submission(submission, Some(id), actor));
        let submitted = answered(entered).await;
        self.settle_secret(id, &submitted);
        submitted
    }

    /// An id that no other submission gets, for what has to be on disk before the job is.
    fn reserve_id(&self) -> Result<JobId, Error> {
        let mut book = self.book()?;
        let id = key::next_id(book.last_id, clock::now(), rand::random());
        book.last_id = Some(id);
        Ok(id)
    }

    /// Keeps the job's secret on disk. Nobody removes it while the answer lives: until the change that
    /// needs it has been entered.
    pub(super) async fn keep_secret(&self, id: JobId, secret: String) -> Result<Entering, Error> {
        let entering = self.inner.secrets.entering(id);
        let secrets = self.inner.secrets.clone();
        let kept = tokio::task::spawn_blocking(move || secrets.keep(id, &secret)).await;
        kept.unwrap_or_else(|_| Err(Error::broken("a panic while a secret was kept")))?;
        Ok(entering)
    }

    /// The query of the job's presigned source, for whoever works on it; `None` where it has none, or it is not
    /// kept any more. Blocks for a moment.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn secret(&self, id: JobId) -> Result<Option<String>, Error> {
        self.inner.secrets.read(id)
    }

    /// Removes the job's secret, after a change of it with this outcome, if nobody can need it.
    pub(super) fn settle_secret<T>(&self, id: JobId, outcome: &Result<T, Error>) {
        // What is in memory is not what the next process will find on disk.
        if outcome.as_ref().is_err_and(Error::is_of_storage) {
            return;
        }
        self.inner.secrets.settle(id, || match self.get(id) {
            Ok(job) => self.inner.secrets.is_needed_by(&job),
            Err(Error::NoSuchJob(_)) => false,
            // Nothing is known of the job, so nothing is thrown away.
            Err(_) => true,
        });
    }

    fn enter_submission(
        &self,
        mut submission: Submission,
        reserved: Option<JobId>,
        actor: &str,
    ) -> Result<(Submitted, Ticket), Error> {
        let desk = &self.inner.desk;
        let mut book = self.book()?;
        let mut draft = Draft::default();
        let now = clock::now();
        let id = reserved.unwrap_or_else(|| key::next_id(book.last_id, now, rand::random()));
        let mut entry =
            Entry::at(now, "submitted", actor, Some(id)).with_submission(&submission)?;
        if reserved.is_some() {
            entry = entry.with("secret", &format!("{}/{id}", secret::DIR))?;
        }
        if let Some(key) = submission.idempotency_key.clone() {
            let spec = fingerprint(&submission)?;
            let what = || "an idempotency key".to_owned();
            if let Some(used) = desk.store.read::<KeyUse>(Table::Keys, key.as_bytes(), what)? {
                let job = desk.job(used.job)?;
                let again = as_of(&submission, &job);
                if used.spec != fingerprint(&again)?
                    && used.spec != fingerprint_of_schema_5(&again)?
                {
                    return Err(Error::KeyReused { key, job: used.job });
                }
                let submitted = Submitted { job, existed: true };
                // It may be a moment old, and not on disk yet.
                return Ok((submitted, desk.enter(&mut book, draft)?));
            }
            entry = entry.with("spec_blake3", &spec)?;
            let used = KeyUse { job: id, spec };
            store::put(&mut draft.writes, Table::Keys, key.as_bytes(), &used, what)?;
        }
        draft.audit(entry);
        if let Some(spec) = &mut submission.spec {
            secret::leave_out(spec);
        }
        let job = Job::submitted(id, submission, actor.to_owned(), now);
        draft.job(None, &job)?;
        let ticket = desk.enter(&mut book, draft)?;
        book.last_id = book.last_id.max(Some(id));
        Ok((Submitted { job, existed: false }, ticket))
    }
}

/// The request as it was when it made `job`: what it left open is as the job has it, also where the configuration
/// says something else by now.
fn as_of(submission: &Submission, job: &Job) -> Submission {
    let mut then = submission.clone();
    if let (Some(spec), Some(made)) = (&mut then.spec, &job.spec) {
        if submission.left_open.verify {
            spec.verify = made.verify;
        }
        if submission.left_open.if_exists {
            spec.if_exists = made.if_exists;
        }
    }
    then
}

/// What tells one specification from another: of a transfer its spec alone, as it has always been, and the
/// query of a presigned source, which can name a version.
fn fingerprint(submission: &Submission) -> Result<String, Error> {
    let text = text_of(submission)? + secret::of(submission.spec.as_ref()).unwrap_or_default();
    Ok(hex::encode(integrity::blake3(text.as_bytes())))
}

/// As the versions before schema 6 made it, which wrote a presigned source with its query: whoever repeats a
/// submission after the upgrade is to find its job.
fn fingerprint_of_schema_5(submission: &Submission) -> Result<String, Error> {
    let mut text = text_of(submission)?;
    if let Some(TransferSpec { source: Address::Presigned(url), .. }) = &submission.spec {
        text = text.replacen(&json(url)?, &json(url.expose())?, 1);
    }
    Ok(hex::encode(integrity::blake3(text.as_bytes())))
}

fn text_of(submission: &Submission) -> Result<String, Error> {
    match &submission.image {
        None => json(&submission.spec),
        Some(image) => json(&(image, &submission.spec)),
    }
}

fn json(what: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(what)
        .map_err(|error| Error::corrupt(format!("the spec has no JSON: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::tests::submission;

    #[test]
    fn a_key_of_schema_5_is_of_the_same_presigned_source_alone() {
        let of = |query: &str| {
            let mut asked = submission("k");
            let url = format!("https://host/key?{query}").parse().expect("a URL");
            if let Some(spec) = &mut asked.spec {
                spec.source = Address::Presigned(url);
            }
            asked
        };
        let text = text_of(&of("sig=a&b")).expect("JSON");
        assert!(text.contains(r#""presigned":"https://host/key?REDACTED""#), "{text}");
        let before = text.replace("REDACTED", "sig=a&b");
        let before = hex::encode(integrity::blake3(before.as_bytes()));
        assert_eq!(fingerprint_of_schema_5(&of("sig=a&b")).expect("JSON"), before);
        assert_ne!(fingerprint_of_schema_5(&of("sig=other")).expect("JSON"), before);
        assert_ne!(fingerprint(&of("sig=a&b")).expect("JSON"), before);
        let plain = submission("k");
        assert_eq!(
            fingerprint_of_schema_5(&plain).expect("JSON"),
            fingerprint(&plain).expect("JSON")
        );
    }
}
