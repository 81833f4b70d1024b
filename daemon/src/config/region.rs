//! Which partition a region belongs to.

/// The partition of `region`, by the prefixes of the partitions' own `regionRegex`; `None` where no
/// partition names its regions so.
/// <https://github.com/aws/aws-sdk-rust/blob/main/aws-models/partitions.json>
pub(super) fn partition_of(region: &str) -> Option<&'static str> {
    // The longer prefixes first: `us-gov-` is no region of `us-`.
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
    let of = |(prefix, partition): &(&str, &'static str)| {
        region.starts_with(prefix).then_some(*partition)
    };
    PREFIXES.iter().find_map(of)
}
