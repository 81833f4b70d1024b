//! S3's own host names, in every partition.
//!
//! `*.amazonaws.com` would not do: anybody can have a load balancer or an instance with a name below it.
//! What decides is the label where AWS puts its service's name, which nobody else chooses.
//! <https://docs.aws.amazon.com/general/latest/gr/s3.html>

/// The DNS suffixes of all partitions, as AWS's own partition table has them, first for one stack and then
/// for both.
const SUFFIXES: [&str; 10] = [
    "amazonaws.com.cn",
    "amazonaws.com",
    "amazonaws.eu",
    "c2s.ic.gov",
    "sc2s.sgov.gov",
    "cloud.adc-e.uk",
    "csp.hci.ic.gov",
    "api.aws",
    "api.amazonwebservices.com.cn",
    "api.amazonwebservices.eu",
];

const SERVICES: [&str; 6] =
    ["s3", "s3-fips", "s3-accelerate", "s3-accesspoint", "s3-accesspoint-fips", "s3-object-lambda"];

/// Whether S3 answers at `name`, which is in lower case: `[BUCKET.]s3.REGION.SUFFIX` and its like.
pub(super) fn is_of_s3(name: &str) -> bool {
    let before = |suffix: &&str| name.strip_suffix(*suffix)?.strip_suffix('.');
    SUFFIXES.iter().find_map(before).is_some_and(|labels| names_s3(labels.rsplit('.')))
}

/// From the right: `vpce`, a Region and `dualstack`, each where there is one, and then the service.
fn names_s3<'a>(labels: impl Iterator<Item = &'a str>) -> bool {
    let mut labels = labels.peekable();
    labels.next_if_eq(&"vpce");
    labels.next_if(|label| is_region(label));
    labels.next_if_eq(&"dualstack");
    labels.next().is_some_and(|label| {
        let old = label.strip_prefix("s3-").or_else(|| label.strip_prefix("s3-fips-"));
        let zone =
            label.strip_prefix("s3express-").or_else(|| label.strip_prefix("s3express-fips-"));
        SERVICES.contains(&label) || old.is_some_and(is_region) || zone.is_some_and(is_zone)
    })
}

/// Such as `us-gov-west-1`.
fn is_region(label: &str) -> bool {
    let Some((place, number)) = label.rsplit_once('-') else { return false };
    let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    let is_place = place.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    is_number && is_place && place.contains('-')
}

/// Such as `use1-az4`.
fn is_zone(label: &str) -> bool {
    label.rsplit_once("-az").is_some_and(|(_, n)| n.bytes().all(|b| b.is_ascii_digit()))
}
