//! Which partition a region belongs to.
//!
//! Taken from the region's name and never from a host name: `aws` and `aws-us-gov` share the DNS
//! suffix `amazonaws.com`.

/// The partition of `region`, or `None` where no partition names its regions so.
///
/// The prefixes are those of the partitions' own `regionRegex`:
/// <https://github.com/aws/aws-sdk-rust/blob/main/aws-models/partitions.json>
pub fn partition_of(region: &str) -> Option<&'static str> {
    // The longer prefixes first: `us-isob-` and `us-gov-` are no regions of `us-`.
    const PREFIXES: [(&str, &str); 20] = [
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
        // Regions announced or reserved in the SDK's own table of `aws`.
        ("global", "aws"),
        ("aws-global", "aws"),
        ("aws-cn-global", "aws-cn"),
        ("aws-us-gov-global", "aws-us-gov"),
    ];
    let (prefix, partition) = PREFIXES.iter().find(|(prefix, _)| region.starts_with(prefix))?;
    let _ = prefix;
    Some(partition)
}
