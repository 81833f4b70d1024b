//! Which partition a region belongs to.
//!
//! Taken from the region's name and never from a host name: `aws` and `aws-us-gov` share the DNS
//! suffix `amazonaws.com`.

/// How each partition's regions begin, as the `regionRegex` of AWS's own partition table says. The
/// longer first: `us-gov-west-1` is no region of `us-`.
const PREFIXES: [(&str, &str); 16] = [
    ("us-gov-", "aws-us-gov"),
    ("us-iso-", "aws-iso"),
    ("us-isob-", "aws-iso-b"),
    ("eu-isoe-", "aws-iso-e"),
    ("us-isof-", "aws-iso-f"),
    ("eusc-", "aws-eusc"),
    ("cn-", "aws-cn"),
    ("us-", "aws"),
    ("eu-", "aws"),
    ("ap-", "aws"),
    ("sa-", "aws"),
    ("ca-", "aws"),
    ("me-", "aws"),
    ("af-", "aws"),
    ("il-", "aws"),
    ("mx-", "aws"),
];

/// The partition of `region`, or `None` where no partition names its regions so.
///
/// A region has the form `us-east-1`: at least a direction and a number follow the prefix.
pub fn partition_of(region: &str) -> Option<&'static str> {
    let (prefix, partition) = PREFIXES.iter().find(|(prefix, _)| region.starts_with(prefix))?;
    let (direction, number) = region[prefix.len()..].rsplit_once('-')?;
    let legal = direction.starts_with(|c: char| c.is_ascii_lowercase())
        && direction.chars().all(|c| c.is_ascii_lowercase() || c == '-')
        && !number.is_empty()
        && number.chars().all(|c| c.is_ascii_digit());
    legal.then_some(*partition)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_partition_is_known_by_its_regions() {
        for (region, partition) in [
            ("us-east-2", "aws"),
            ("ap-southeast-5", "aws"),
            ("il-central-1", "aws"),
            ("mx-central-1", "aws"),
            ("us-gov-west-1", "aws-us-gov"),
            ("cn-north-1", "aws-cn"),
            ("eusc-de-east-1", "aws-eusc"),
            ("us-iso-east-1", "aws-iso"),
            ("us-isob-east-1", "aws-iso-b"),
            ("eu-isoe-west-1", "aws-iso-e"),
            ("us-isof-south-1", "aws-iso-f"),
        ] {
            assert_eq!(partition_of(region), Some(partition), "{region}");
        }
        for region in
            ["", "us-", "us-east", "us-east-", "us-east-1a", "local", "US-EAST-1", "us--1"]
        {
            assert_eq!(partition_of(region), None, "{region}");
        }
    }
}
