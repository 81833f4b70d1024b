//! What each entry admits, and above all what none does.

use proptest::prelude::*;

use super::*;

fn hosts(entries: &[&str]) -> AllowedHosts {
    AllowedHosts::new(entries.iter().map(|entry| entry.parse().expect(entry)).collect())
}

fn check(hosts: &AllowedHosts, url: &str) -> Result<(), Refused> {
    hosts.check(&Url::parse(url).expect(url))
}

fn told(hosts: &AllowedHosts, url: &str) -> String {
    check(hosts, url).expect_err(url).to_string()
}

#[test]
fn without_a_word_s3s_own_hosts_are_admitted_in_every_partition() {
    let hosts = AllowedHosts::default();
    for host in [
        "images.s3.us-east-2.amazonaws.com",
        "s3.us-east-2.amazonaws.com",
        "images.s3.amazonaws.com",
        "my.dotted.bucket.s3.eu-west-1.amazonaws.com",
        "images.s3-us-west-2.amazonaws.com",
        "images.s3-accelerate.amazonaws.com",
        "images.s3-accelerate.dualstack.amazonaws.com",
        "images.s3.dualstack.us-gov-west-1.amazonaws.com",
        "images.s3-fips.us-gov-east-1.amazonaws.com",
        "images.s3-fips.dualstack.us-gov-east-1.amazonaws.com",
        "point-111122223333.s3-accesspoint.us-east-2.amazonaws.com",
        "images.s3express-use1-az4.us-east-1.amazonaws.com",
        "bucket.vpce-0abc-1def.s3.us-east-1.vpce.amazonaws.com",
        "images.s3.cn-north-1.amazonaws.com.cn",
        "images.s3.eusc-de-east-1.amazonaws.eu",
        "images.s3.us-iso-east-1.c2s.ic.gov",
        "images.s3.us-isob-east-1.sc2s.sgov.gov",
        "images.s3.eu-isoe-west-1.cloud.adc-e.uk",
        "images.s3.us-isof-south-1.csp.hci.ic.gov",
    ] {
        assert_eq!(check(&hosts, &format!("https://{host}/k?X=1")), Ok(()), "{host}");
    }
}

/// All of these names are somebody's for the asking, or look like what they are not.
#[test]
fn what_only_looks_like_s3_is_refused() {
    let hosts = AllowedHosts::default();
    for host in [
        "amazonaws.com",
        "s3.us-east-2.amazonaws.com.evil.example",
        "evils3.us-east-2.amazonaws.com",
        "s3-evil.us-east-2.amazonaws.com",
        "s3.evil-amazonaws.com",
        "s3-lb-1234.us-east-1.elb.amazonaws.com",
        "s3.us-east-1.elb.amazonaws.com",
        "ec2-198-51-100-1.us-east-2.compute.amazonaws.com",
        "s3.abcdef.execute-api.us-east-1.amazonaws.com",
        "abc.lambda-url.us-east-1.on.aws",
        "example.com",
        "localhost",
        "xn--bcher-kva.amazonaws.com",
    ] {
        let told = told(&hosts, &format!("https://{host}/"));
        assert_eq!(told, format!("host {host} is not among allowed_hosts"));
    }
}

#[test]
fn a_star_admits_what_is_below_and_not_the_suffix_itself() {
    let hosts = hosts(&["*.Example.com", "exact.example.net", "*.bücher.example"]);
    for url in [
        "https://a.example.com/",
        "https://a.b.EXAMPLE.com./",
        "https://exact.example.net",
        "https://a.bücher.example/",
        "https://a.xn--bcher-kva.example/",
    ] {
        assert_eq!(check(&hosts, url), Ok(()), "{url}");
    }
    for url in [
        "https://example.com/",
        "https://.example.com/",
        "https://aexample.com/",
        "https://a.exact.example.net/",
        "https://a.example.com.evil.test/",
        "https://a..example.com/",
    ] {
        assert!(matches!(check(&hosts, url), Err(Refused::Host(_))), "{url}");
    }
}

#[test]
fn a_user_plain_http_and_another_port_are_refused_with_their_reason() {
    let hosts = hosts(&["a.example", "b.example:8443", "c.example:*"]);
    for (url, why) in [
        ("https://user@a.example/", "the URL names no host, or a user"),
        ("https://:pw@a.example/", "the URL names no host, or a user"),
        ("http://c.example/", "only https is used with host c.example"),
        ("https://a.example:8443/", "port 8443 of host a.example is not among allowed_hosts"),
        ("https://b.example/", "port 443 of host b.example is not among allowed_hosts"),
        ("https://127.0.0.1/", "host 127.0.0.1 is not among allowed_hosts"),
    ] {
        assert_eq!(told(&hosts, url), why, "{url}");
    }
    assert_eq!(check(&hosts, "https://b.example:8443/"), Ok(()));
    assert_eq!(check(&hosts, "https://c.example:9/"), Ok(()));
    assert!(check(&hosts, "data:text/plain,hello").is_err());
}

/// Every spelling of 127.0.0.1 and of the metadata service that URL parsers know.
#[test]
fn an_address_needs_an_entry_that_holds_it_however_it_is_spelled() {
    let names = hosts(&["*.example.com", "s3"]);
    let loopback = hosts(&["127.0.0.0/8:*", "[::1]:8443"]);
    for url in [
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f.0.0.1/",
        "https://0177.0.0.1/",
        "https://[::ffff:127.0.0.1]/",
        "http://127.9.9.9:8080/",
    ] {
        assert!(matches!(check(&names, url), Err(Refused::Host(_))), "{url}");
        assert_eq!(check(&loopback, url), Ok(()), "{url}");
    }
    assert_eq!(check(&loopback, "https://[::1]:8443/"), Ok(()));
    for url in ["https://169.254.169.254/", "https://[fd00:ec2::254]/", "https://[::1]/"] {
        assert!(check(&names, url).is_err() && check(&loopback, url).is_err(), "{url}");
    }
}

#[test]
fn an_admitted_name_leads_to_no_address_that_is_never_public() {
    let names = hosts(&["*.example.com:*"]);
    for address in [
        "0.0.0.0",
        "0.1.2.3",
        "127.0.0.1",
        "169.254.169.254",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1::1",
        "2002:7f00:1::1",
        "fe80::1",
        "ff02::1",
        "fd00:ec2::254",
    ] {
        let address: IpAddr = address.parse().expect(address);
        let refused = names.check_address(address, 443).expect_err("never public");
        assert!(refused.to_string().starts_with(&format!("address {address} is ")), "{refused}");
    }
    for address in ["52.219.1.1", "10.0.0.5", "192.168.1.1", "2600:1f00::1", "fd12::1"] {
        let address = address.parse().expect(address);
        assert_eq!(names.check_address(address, 443), Ok(()), "{address}");
    }
}

/// Another port of the same address is another server.
#[test]
fn an_address_is_admitted_for_the_port_of_its_entry() {
    let hosts = hosts(&["localhost:*", "127.0.0.1:9000"]);
    let address = "127.0.0.1".parse().expect("an address");
    assert_eq!(hosts.check_address(address, 9000), Ok(()));
    assert!(hosts.check_address(address, 22).is_err());
}

#[test]
fn what_is_no_entry_is_refused_and_what_is_one_prints_as_it_was_read() {
    for text in [
        "",
        "*",
        "*.",
        "*.*.example.com",
        "a b",
        "https://example.com",
        "example.com/path",
        "example.com:0",
        "example.com:70000",
        "example.com:",
        "10.0.0.0/33",
        "10.0.0.0/+8",
        "10.0.0.0/",
        "[::1",
        "[::1]443",
        "user@example.com",
        "*.127.0.0.1",
        // Meant is the word, and this would be a host of the name.
        "S3",
        "s3.",
        "S3:8443",
    ] {
        assert!(text.parse::<HostRule>().is_err(), "{text}");
    }
    for text in
        ["s3", "*.example.com:8443", "10.0.0.0/8", "127.0.0.1:*", "[fd00::/8]:1", "::1", "a:*"]
    {
        assert_eq!(text.parse::<HostRule>().expect(text).to_string(), text);
    }
    assert_eq!("[::1]:443".parse::<HostRule>().expect("legal").to_string(), "::1");
}

fn label() -> impl Strategy<Value = String> {
    // What begins so is punycode, or no name at all.
    let is_plain = |label: &String| !label.starts_with("xn--");
    "[a-z0-9][a-z0-9-]{0,8}[a-z0-9]".prop_filter("punycode", is_plain)
}

proptest! {
    /// The suffix rule as another would write it: by whole labels.
    #[test]
    fn a_star_rule_compares_whole_labels(
        suffix in prop::collection::vec(label(), 2..4),
        host in prop::collection::vec(label(), 2..6),
        is_below in any::<bool>(),
        case in any::<bool>(),
    ) {
        // The last label is a word, or the whole may be a number, which is an address.
        let mut host = if is_below { [host, suffix.clone()].concat() } else { host };
        host.push("test".into());
        let suffix = [suffix, vec!["test".into()]].concat();
        let rule: HostRule = format!("*.{}", suffix.join(".")).parse().expect("an entry");
        let name = host.join(".");
        prop_assume!(Host::parse(&name).is_ok());
        let url = if case { name.to_uppercase() } else { name };
        let expected = host.len() > suffix.len() && host.ends_with(&suffix);
        let url = Url::parse(&format!("https://{url}/")).expect("a URL");
        prop_assert_eq!(AllowedHosts::new(vec![rule]).check(&url).is_ok(), expected);
    }

    /// A block as another would write it: bit by bit.
    #[test]
    fn a_block_holds_the_addresses_that_share_its_bits(base: u32, address: u32, bits in 0_u32..=32) {
        let (a, b) = (std::net::Ipv4Addr::from(base), std::net::Ipv4Addr::from(address));
        let block = Block::parse(&format!("{a}/{bits}")).expect("a block");
        let same = (0..bits).all(|bit| base >> (31 - bit) & 1 == address >> (31 - bit) & 1);
        prop_assert_eq!(block.holds(IpAddr::V4(b)), same);
        prop_assert_eq!(block.holds(IpAddr::V6(b.to_ipv6_mapped())), same);
    }

    #[test]
    fn no_text_makes_reading_an_entry_panic(text in "\\PC{0,40}") {
        if let Ok(rule) = text.parse::<HostRule>() {
            prop_assert_eq!(rule.to_string().parse::<HostRule>(), Ok(rule));
        }
    }

    /// Whatever the entries and the URL: a metadata service is behind an admitted name only where an entry
    /// holds its address.
    #[test]
    fn no_name_admits_the_metadata_service(host in "[a-z*.]{1,12}", port in 1_u16..) {
        if let Ok(rule) = format!("{host}:{port}").parse::<HostRule>() {
            let hosts = AllowedHosts::new(vec![rule]);
            for address in ["169.254.169.254", "fd00:ec2::254", "::ffff:169.254.169.254"] {
                let address = address.parse().expect("an address");
                prop_assert!(hosts.check_address(address, port).is_err());
            }
        }
    }
}
