//! Places for connections and for handshakes: so many in all, and for one identity, or address, half of them at
//! most.
//!
//! # Invariants
//! - Whatever one identity holds, others find as many. A place comes back when it is dropped.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::guard::lock;

/// Places of one kind. Clones are the same ones.
#[derive(Debug, Clone)]
pub(super) struct Places {
    max: usize,
    /// By whom; nobody with none.
    held: Arc<Mutex<BTreeMap<String, usize>>>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Place {
    of: Places,
    by: String,
}

impl Places {
    pub(super) fn new(max: usize) -> Self {
        Self { max, held: Arc::default() }
    }

    /// A place for `by`.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn take(&self, by: &str) -> Result<Place, &'static str> {
        let mut held = lock(&self.held);
        let own = held.get(by).copied().unwrap_or_default();
        if own >= self.max / 2 {
            return Err("it has as many connections as one identity may have");
        }
        if held.values().sum::<usize>() >= self.max {
            return Err("as many connections are open as may be");
        }
        held.insert(by.to_owned(), own + 1);
        Ok(Place { of: self.clone(), by: by.to_owned() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = lock(&self.of.held);
        let Some(own) = held.get_mut(&self.by) else { return };
        *own -= 1;
        if *own == 0 {
            held.remove(&self.by);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_identity_has_half_of_the_places_and_all_have_no_more_than_there_are() {
        let places = Places::new(6);
        let of_a: Vec<_> = std::iter::from_fn(|| places.take("a").ok()).collect();
        assert_eq!(of_a.len(), 3);
        let mut others: Vec<_> =
            (0..9).filter_map(|at| places.take(&format!("b{at}")).ok()).collect();
        assert_eq!(others.len(), 3, "three places are left");
        others.pop();
        assert!(places.take("a").is_err(), "not its own");
        assert!(places.take("b9").is_ok());
        drop((of_a, others));
        assert_eq!(lock(&places.held).len(), 0);
        assert!(places.take("a").is_ok());
    }
}
