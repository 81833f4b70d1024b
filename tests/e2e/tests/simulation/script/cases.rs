//! What a seed carries: objects of many sizes, what stands at their targets before, and what is asked.

use anyhow::{Context as _, Result};
use causewayd::model::{IfExists, Submission, TransferSpec, Verify};
use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use sandbox::{Attributes, Endpoint, Synthetic};

use crate::model::{Case, Met, Prior};

const MIB: u64 = 1 << 20;
/// Empty, tiny, small, the largest that goes by PutObject, and some of two to seven parts.
const SIZES: [u64; 9] =
    [0, 1, 100_000, 3 * MIB, 8 * MIB, 8 * MIB + 1, 11 * MIB, 17 * MIB + 5, 31 * MIB];
/// Of every job.
pub const PART: u64 = 5 * MIB;

/// Puts the objects in place.
pub async fn prepare(rng: &mut StdRng, commercial: &Endpoint, gov: &Endpoint) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for number in 0..rng.random_range(3..8) {
        let size = *SIZES.choose(rng).context("there are sizes")?;
        let object = Synthetic::new(rng.random(), size);
        let key = format!("ami-{number:02}.bin");
        commercial.put("images", &key, object.clone(), Attributes::default()).await?;
        let prior = match prior(rng, &object) {
            None => None,
            Some(object) => {
                let put = gov.put("landing", &key, object.clone(), Attributes::default());
                Some(Prior { etag: put.await?.etag.clone(), object })
            }
        };
        cases.push(Case {
            key,
            if_exists: *[IfExists::Fail, IfExists::Skip, IfExists::Replace]
                .choose(rng)
                .context("there are choices")?,
            verify: *[Verify::Auto, Verify::Checksum, Verify::Readback]
                .choose(rng)
                .context("there are proofs")?,
            priority: rng.random_range(-3..4),
            versions: vec![object],
            source_gone: false,
            prior,
            met: Met::default(),
            told: None,
            unanswered: Vec::new(),
            cancelled: false,
        });
    }
    Ok(cases)
}

/// Nothing mostly; or the same object, another of the same size, or one of another size.
fn prior(rng: &mut StdRng, object: &Synthetic) -> Option<Synthetic> {
    match rng.random_range(0..10) {
        0 => Some(object.clone()),
        1 => Some(Synthetic::new(rng.random(), object.size())),
        2 => Some(Synthetic::new(rng.random(), object.size() + 4096)),
        _ => None,
    }
}

/// The job of a case, as it is submitted every time.
pub fn submission(number: usize, case: &Case) -> Result<Submission> {
    let spec = TransferSpec {
        source: format!("commercial:images/{}", case.key).parse()?,
        target: format!("gov:landing/{}", case.key).parse()?,
        verify: case.verify,
        if_exists: case.if_exists,
        part_size: Some(PART),
        storage_class: None,
        encryption: None,
        tags: Default::default(),
        expect_blake3: None,
    };
    let idempotency_key = Some(format!("job {number}"));
    Ok(Submission { priority: case.priority, idempotency_key, ..Submission::new(spec) })
}
