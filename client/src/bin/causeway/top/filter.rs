//! What a person types after `/`: words that are states, `KEY=VALUE` labels, and text.
//!
//! States and labels are for the daemon to filter by. Text is looked for here, in the jobs of the page that is
//! loaded: an index of all texts of a million jobs is not worth its disk.

use causeway::v1::{Job, JobFilter, JobState};
use causeway::words::Word;

use crate::ends;

/// A filter, as typed and as meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// As it was typed; empty for every job.
    pub typed: String,
    states: Vec<JobState>,
    labels: Vec<(String, String)>,
    /// In lower case; all of them have to be found.
    texts: Vec<String>,
}

impl Filter {
    /// No text is wrong: what is neither a state nor a label is looked for.
    pub fn of(typed: &str) -> Self {
        let mut filter = Self { typed: typed.trim().to_owned(), ..Self::default() };
        for word in typed.split_whitespace() {
            match (JobState::from_word(word), word.split_once('=')) {
                (Some(state), _) => filter.states.push(state),
                (None, Some((key, value))) if !key.is_empty() => {
                    filter.labels.push((key.to_owned(), value.to_owned()));
                }
                (None, _) => filter.texts.push(word.to_lowercase()),
            }
        }
        filter
    }

    pub fn is_empty(&self) -> bool {
        self.typed.is_empty()
    }

    /// The daemon's part of it, for those of `states` that it lets through; `None` where it lets none.
    pub fn asked(&self, states: &[JobState]) -> Option<JobFilter> {
        let wanted = |state: &&JobState| self.states.is_empty() || self.states.contains(state);
        let states: Vec<i32> = states.iter().filter(wanted).map(|s| i32::from(*s)).collect();
        let labels = self.labels.iter().cloned().collect();
        (!states.is_empty()).then_some(JobFilter { states, kinds: Vec::new(), labels })
    }

    /// Whether the job has all texts, in its id, its two ends or its labels.
    pub fn finds(&self, job: &Job) -> bool {
        if self.texts.is_empty() {
            return true;
        }
        let mut all = format!("{} {} {}", job.id, ends::source(job), ends::target(job));
        for (key, value) in &job.labels {
            all.push_str(&format!(" {key}={value}"));
        }
        let all = all.to_lowercase();
        self.texts.iter().all(|text| all.contains(text))
    }
}

#[cfg(test)]
mod tests {
    use causeway::v1::TransferSpec;

    use super::*;

    #[test]
    fn words_are_states_labels_or_text() {
        let filter = Filter::of("  failed batch=7 Ami-0ABC ");
        let asked = filter.asked(JobState::ALL).expect("one state");
        assert_eq!(asked.states, [i32::from(JobState::Failed)]);
        assert_eq!(asked.labels.get("batch").map(String::as_str), Some("7"));
        let spec = TransferSpec { source: "c:b/ami-0abc.bin".into(), ..Default::default() };
        let job = Job { transfer: Some(spec), ..Default::default() };
        assert!(filter.finds(&job));
        assert!(!Filter::of("ami-0abc gov").finds(&job));
        assert!(Filter::of("").finds(&job) && Filter::of("").is_empty());
    }

    /// An empty list of states would let every job through.
    #[test]
    fn a_group_without_a_wanted_state_is_not_asked_for() {
        assert_eq!(Filter::of("failed").asked(&[JobState::Running]), None);
        let all = Filter::of("text").asked(&[JobState::Running]).expect("no state is typed");
        assert_eq!(all.states, [i32::from(JobState::Running)]);
    }
}
