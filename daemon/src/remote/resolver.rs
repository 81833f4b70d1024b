//! A resolver that spreads connections over all of a name's addresses.
//!
//! The client dials the first address it is given, and system resolvers answer in one order for
//! seconds: by itself it would put every connection of a transfer on one front end of S3.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns, ResolveDnsError};
use rand::seq::SliceRandom as _;
use tokio::time::{Instant, timeout};

/// S3's own answers live 5 seconds: no longer, or addresses that were withdrawn are dialed.
const FRESH: Duration = Duration::from_secs(5);
/// How long an answer may stand in where the name server fails, or is silent.
const STALE: Duration = Duration::from_secs(300);
/// How long the name server is waited for where an older answer can stand in. The system waits for 10 s and
/// more, in which whoever dials has given up.
const PATIENCE: Duration = Duration::from_secs(2);
/// Names remembered. A remote uses a handful: one a bucket, one a service.
const NAMES_MAX: usize = 64;

#[derive(Debug)]
struct Answer {
    at: Instant,
    addresses: Vec<IpAddr>,
}

/// Gives a name's addresses in another order at each call. Clones share what was learned.
#[derive(Debug, Clone, Default)]
pub struct Spread {
    answers: Arc<Mutex<HashMap<String, Answer>>>,
}

impl Spread {
    /// The addresses of `name`, at least one.
    ///
    /// # Errors
    /// Where the name does not resolve now and was not known before.
    pub async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        self.lookup_by(name, resolve(name)).await
    }

    /// As [`Spread::lookup`]; `resolving` asks the name server, once it is polled.
    async fn lookup_by(
        &self,
        name: &str,
        resolving: impl Future<Output = io::Result<Vec<IpAddr>>>,
    ) -> io::Result<Vec<IpAddr>> {
        if let Some(addresses) = self.remembered(name, FRESH) {
            return Ok(shuffled(addresses));
        }
        let addresses = match self.remembered(name, STALE) {
            None => resolving.await?,
            Some(stale) => match timeout(PATIENCE, resolving).await {
                Ok(Ok(addresses)) => addresses,
                Ok(Err(_)) | Err(_) => return Ok(shuffled(stale)),
            },
        };
        self.remember(name, &addresses);
        Ok(shuffled(addresses))
    }

    fn remembered(&self, name: &str, at_most: Duration) -> Option<Vec<IpAddr>> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = answers.get(name).filter(|answer| answer.at.elapsed() < at_most)?;
        Some(answer.addresses.clone())
    }

    fn remember(&self, name: &str, addresses: &[IpAddr]) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= NAMES_MAX {
            answers.retain(|_, answer| answer.at.elapsed() < FRESH);
        }
        if answers.len() < NAMES_MAX {
            let answer = Answer { at: Instant::now(), addresses: addresses.to_vec() };
            answers.insert(name.to_owned(), answer);
        }
    }
}

async fn resolve(name: &str) -> io::Result<Vec<IpAddr>> {
    let addresses: Vec<IpAddr> =
        tokio::net::lookup_host((name, 0)).await?.map(|socket| socket.ip()).collect();
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, format!("{name} has no address")));
    }
    Ok(addresses)
}

/// Another order, the family that the system prefers still first: it knows which one has a route.
fn shuffled(mut addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let v6_first = addresses.first().is_some_and(IpAddr::is_ipv6);
    addresses.shuffle(&mut rand::rng());
    addresses.sort_by_key(|address| address.is_ipv6() != v6_first);
    addresses
}

impl ResolveDns for Spread {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        DnsFuture::new(async move { self.lookup(name).await.map_err(ResolveDnsError::new) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A transfer that dials one front end alone is as slow as that front end.
    #[tokio::test]
    async fn every_address_comes_first_at_some_time() {
        let spread = Spread::default();
        let addresses: Vec<IpAddr> = (1..=8).map(|last| IpAddr::from([192, 0, 2, last])).collect();
        spread.remember("s3.test", &addresses);
        let mut firsts = std::collections::HashSet::new();
        for _ in 0..400 {
            let answer = spread.lookup("s3.test").await.expect("remembered");
            assert_eq!(answer.len(), 8);
            firsts.insert(answer[0]);
        }
        assert_eq!(firsts.len(), 8);
    }

    /// Who dials waits for 10 s, and a system's resolver for as long for a server that says nothing.
    #[tokio::test(start_paused = true)]
    async fn an_older_answer_stands_in_for_a_name_server_that_fails_or_is_silent() {
        let spread = Spread::default();
        let (old, new) = ([IpAddr::from([192, 0, 2, 1])], [IpAddr::from([192, 0, 2, 2])]);
        spread.remember("s3.test", &old);
        tokio::time::advance(FRESH).await;
        let began = Instant::now();
        let silent = std::future::pending();
        let found = spread.lookup_by("s3.test", silent).await.expect("an older answer");
        assert_eq!(found, old);
        assert_eq!(began.elapsed().as_secs(), PATIENCE.as_secs());

        let failed = || std::future::ready(Err(io::Error::other("SERVFAIL")));
        let found = spread.lookup_by("s3.test", failed()).await.expect("an older answer");
        assert_eq!(found, old);

        let answers = async {
            tokio::time::sleep(PATIENCE / 2).await;
            io::Result::Ok(new.to_vec())
        };
        let found = spread.lookup_by("s3.test", answers).await.expect("in time");
        assert_eq!(found, new);
        tokio::time::advance(STALE).await;
        spread.lookup_by("s3.test", failed()).await.expect_err("too old by now");
    }

    #[test]
    fn the_preferred_family_stays_first() {
        let v4 = IpAddr::from([192, 0, 2, 1]);
        let v6 = IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]);
        for _ in 0..50 {
            assert_eq!(shuffled(vec![v4, v6]), [v4, v6]);
            assert_eq!(shuffled(vec![v6, v4]), [v6, v4]);
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let spread = Spread::default();
        for n in 0..1000 {
            spread.remember(&format!("bucket-{n}.s3.test"), &[IpAddr::from([192, 0, 2, 1])]);
        }
        let answers = spread.answers.lock().expect("not poisoned");
        assert!(answers.len() <= NAMES_MAX);
    }
}
