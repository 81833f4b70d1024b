//! Feeds every text that names something: addresses of objects and images, remotes, job ids, presigned URLs,
//! hosts, endpoints, sizes and rates.
//!
//! What must hold: what can be read prints as something that is read as the same; and a presigned URL prints
//! without its query, which is then not taken for a whole one.
#![no_main]

use std::fmt::{Debug, Display};
use std::str::FromStr;

use causewayd::model::{
    Address, Bandwidth, ByteCount, HostRule, ImageAddress, ImageId, JobId, ObjectAddress,
    PartNumber, PresignedUrl, RemoteName,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    same::<ObjectAddress>(text);
    same::<ImageAddress>(text);
    same::<ImageId>(text);
    same::<RemoteName>(text);
    same::<JobId>(text);
    same::<HostRule>(text);
    if let Ok(id) = text.parse::<JobId>() {
        assert_eq!(JobId::from_bytes(id.to_bytes()), id);
    }
    object(text);
    source(text);
    quantities(text);
    endpoint(text);
    if let Ok(number) = text.parse()
        && let Some(part) = PartNumber::new(number)
    {
        assert_eq!(u32::from(part.get()), number);
    }
});

fn same<T: FromStr<Err: Debug + Display> + Display + Debug + PartialEq>(text: &str) {
    match text.parse::<T>() {
        Ok(read) => assert_eq!(read.to_string().parse::<T>().expect("its own text"), read),
        // One line for a person.
        Err(error) => assert!(error.to_string().len() < 2_000, "{error}"),
    }
}

fn object(text: &str) {
    let Ok(address) = text.parse::<ObjectAddress>() else { return };
    assert_eq!(address.is_prefix(), address.base_name().is_empty(), "{address}");
    assert!(address.resource().ends_with(&address.key));
    let json = serde_json::to_string(&address).expect("JSON");
    assert_eq!(serde_json::from_str::<ObjectAddress>(&json).expect("its own JSON"), address);
    if let Ok(joined) = address.join("a.bin") {
        assert_eq!(joined.to_string().parse::<ObjectAddress>().expect("legal"), joined);
    }
}

fn source(text: &str) {
    let Ok(address) = text.parse::<Address>() else { return };
    let _ = address.base_name();
    let Address::Presigned(url) = &address else {
        assert_eq!(address.to_string().parse::<Address>().as_ref(), Ok(&address));
        return;
    };
    assert_eq!(url.expose().as_str().parse::<PresignedUrl>().as_ref(), Ok(url), "the whole URL");
    let _ = url.expires_at();
    let bare = url.without_secret();
    let json = serde_json::to_string(url).expect("JSON");
    let mut expected = url.expose().clone();
    if expected.query().is_some() {
        expected.set_query(Some("REDACTED"));
    }
    for printed in [url.to_string(), format!("{url:?}"), bare.to_string()] {
        assert_eq!(printed, expected.as_str(), "without its query");
    }
    assert_eq!(serde_json::from_str::<String>(&json).expect("a text"), expected.as_str());
    match url.secret() {
        None => assert_eq!(url.to_string().parse::<Address>().as_ref(), Ok(&address)),
        Some(secret) => {
            assert!(bare.to_string().parse::<Address>().is_err(), "it is not a whole one");
            assert_eq!(bare.with_secret(secret), *url);
        }
    }
    assert_eq!(serde_json::from_str::<PresignedUrl>(&json).expect("its own JSON"), bare);
}

/// They are printed for people, with three digits: near is all that can be asked for.
fn quantities(text: &str) {
    let near = |read: u64, printed: u64| read.abs_diff(printed) <= read / 100;
    if let Ok(ByteCount(read)) = text.parse() {
        let printed: ByteCount = ByteCount(read).to_string().parse().expect("its own text");
        assert!(near(read, printed.0), "{read} and {}", printed.0);
    }
    if let Ok(Bandwidth(read)) = text.parse() {
        assert!(read > 0);
        let printed: Bandwidth = Bandwidth(read).to_string().parse().expect("its own text");
        assert!(near(read, printed.0), "{read} and {}", printed.0);
    }
    // The client's own.
    let _ = causeway::units::parse_size(text);
    let _ = causeway::units::parse_rate(text);
    let _ = causeway::units::parse_duration(text);
}

fn endpoint(text: &str) {
    if let Ok(read) = text.parse::<causeway::Endpoint>() {
        let printed = read.to_string();
        let again = printed.parse::<causeway::Endpoint>().expect("its own text");
        assert_eq!(again, read, "{printed}");
    }
}
