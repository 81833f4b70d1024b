//! EC2's rule of how much may be in progress: a request is accepted while the sum already in progress is
//! below the limit; its own size is not counted. So the sum may exceed the limit by one image's size.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ami-store-restore.html>

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::api::Refused;

/// What was admitted so far, of one kind of task.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admissions {
    /// The sum of the volume sizes in progress now, in GiB, which the quota counts as GB.
    pub in_progress_gib: u64,
    /// The greatest sum in progress at any time.
    pub greatest_gib: u64,
    /// The most tasks in progress at any time.
    pub greatest_tasks: u64,
    /// Requests accepted.
    pub admitted: u64,
    /// Requests refused for the quota.
    pub refused: u64,
    /// Requests accepted although the tasks in progress, counted anew, had reached the limit. Never.
    pub rule_broken: u64,
}

/// The tasks of one kind in progress.
#[derive(Debug, Default)]
pub(super) struct Admission {
    counted: Admissions,
    /// The sizes of what is in progress: the counter's check.
    running: BTreeMap<u64, u64>,
}

/// One task in progress, to be given back at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Admitted(u64);

impl Admission {
    /// # Errors
    /// `code`, when the limit is reached.
    pub(super) fn admit(&mut self, gib: u64, limit: u64, code: &str) -> Result<Admitted, Refused> {
        let counted = &mut self.counted;
        if counted.in_progress_gib >= limit {
            counted.refused += 1;
            let message = format!(
                "The sum of the sizes in progress is {} GB, and the limit is {limit} GB. Try again \
                 when tasks have completed.",
                counted.in_progress_gib
            );
            return Err(Refused::new(code, message));
        }
        if self.running.values().sum::<u64>() >= limit {
            counted.rule_broken += 1;
        }
        counted.admitted += 1;
        counted.in_progress_gib += gib;
        self.running.insert(counted.admitted, gib);
        counted.greatest_gib = counted.greatest_gib.max(counted.in_progress_gib);
        counted.greatest_tasks = counted.greatest_tasks.max(self.running.len() as u64);
        Ok(Admitted(counted.admitted))
    }

    pub(super) fn release(&mut self, admitted: Admitted) {
        if let Some(gib) = self.running.remove(&admitted.0) {
            self.counted.in_progress_gib -= gib;
        }
    }

    pub(super) fn counted(&self) -> Admissions {
        self.counted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "ResourceLimitExceeded";

    /// The example of AWS's page: 600 GB in progress let another in, 1,200 do not.
    #[test]
    fn what_is_in_progress_counts_and_ones_own_size_does_not() {
        let mut stores = Admission::default();
        let first = stores.admit(200, 1200, CODE).unwrap();
        stores.admit(400, 1200, CODE).unwrap();
        stores.admit(5000, 1200, CODE).unwrap();
        assert_eq!(stores.admit(1, 1200, CODE).unwrap_err().code, CODE);
        stores.release(first);
        assert!(stores.admit(1, 1200, CODE).is_err());
        let expected = Admissions {
            in_progress_gib: 5400,
            greatest_gib: 5600,
            greatest_tasks: 3,
            admitted: 3,
            refused: 2,
            rule_broken: 0,
        };
        assert_eq!(stores.counted(), expected);
    }

    #[test]
    fn the_limit_itself_is_too_much() {
        let mut stores = Admission::default();
        let only = stores.admit(1200, 1200, CODE).unwrap();
        assert!(stores.admit(1, 1200, CODE).is_err());
        stores.release(only);
        stores.release(only);
        assert_eq!(stores.counted().in_progress_gib, 0);
        assert!(stores.admit(1, 1200, CODE).is_ok());
    }

    #[test]
    fn a_counter_that_lost_a_task_is_found_out() {
        let mut stores = Admission::default();
        stores.admit(1200, 1200, CODE).unwrap();
        stores.counted.in_progress_gib = 0;
        stores.admit(1, 1200, CODE).unwrap();
        assert_eq!(stores.counted().rule_broken, 1);
    }
}
