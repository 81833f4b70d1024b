//! Answers that no AWS gives, on a scripted server. What AWS gives is tested against the sandbox, in
//! `tests/e2e`, which may know both.

use std::sync::{Arc, Mutex};

use super::*;
use crate::base::{Measure, NoObserver, Observe, SharedObserver};
use crate::blob::tests::server::{self, Asked, http, scripted};
use crate::model::{FailureClass, Side, Timestamp};
use crate::remote::Options;

const YES: &str = "200 OK";

/// Images at a server that answers with `script`.
async fn answering(script: impl Fn(&str) -> String + Send + Sync + 'static) -> (Images, Asked) {
    let (endpoint, asked) = scripted(None, script).await;
    (at(server::options(&endpoint), Arc::new(NoObserver)).await, asked)
}

async fn at(options: Options, observer: SharedObserver) -> Images {
    Images::new(Arc::new(Remote::build(options, observer).await.expect("legal")))
}

/// What was logged.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("not poisoned").extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn tags() -> Tags {
    Tags::from([("team".to_owned(), "images".to_owned())])
}

fn registration() -> Registration {
    let some = |word: &str| Some(word.to_owned());
    let traits = Traits {
        architecture: some("x86_64"),
        virtualization: some("hvm"),
        root_device_name: some("/dev/xvda"),
        ..Traits::default()
    };
    Registration { name: "golden".to_owned(), traits, ..Registration::default() }
}

/// Every request once, with what came of it.
async fn every(images: &Images) -> Vec<(&'static str, Result<String, Error>)> {
    let (tags, image, ids) = (tags(), registration(), vec!["ami-00000001".to_owned()]);
    let by = By::Name("golden");
    let at = Timestamp(4_000_000_000_000);
    macro_rules! each {
        ($($name:ident($($argument:expr),*);)*) => {
            vec![$((
                stringify!($name),
                images.$name($($argument),*).await.map(|answer| format!("{answer:?}")),
            )),*]
        };
    }
    each! {
        store("ami-00000001", "images", &tags);
        may_store("ami-00000001", "images");
        store_tasks(&ids);
        store_tasks_in_progress();
        restore("images", "ami-00000001.bin", Some("golden"), &tags);
        may_restore("images", "ami-00000001.bin", Some("golden"), &tags);
        encrypts_by_default();
        default_key();
        image("ami-00000001");
        find_images(by);
        snapshots(&ids);
        register(&image);
        may_register(&image);
        deprecate("ami-00000001", at);
        may_deprecate("ami-00000001", at);
        disable("ami-00000001");
        may_disable("ami-00000001");
        deregister("ami-00000001", true);
        may_deregister("ami-00000001", true);
        put_parameter("/golden", "ami-00000001", true);
        parameter("/golden");
    }
}

/// Proxies, captive portals, servers that die midway: none of it panics, warns, or is taken for a yes.
#[tokio::test]
async fn an_answer_that_makes_no_sense_is_an_error_of_one_line() {
    let log = Log::default();
    let (level, writer) = (tracing::Level::WARN, log.clone());
    let subscriber = tracing_subscriber::fmt().with_max_level(level);
    let subscriber = subscriber.with_writer(move || writer.clone());
    let _guard = tracing::subscriber::set_default(subscriber.finish());
    let bodies = [
        String::new(),
        "\0\u{fffd}\n\nno XML, and no JSON".to_owned(),
        "<html><body>Welcome to the airport!</body></html>".to_owned(),
        "<Response><Errors><Error><Code>".to_owned(),
        "<Response><Errors/></Response>".to_owned(),
        "<DescribeImagesRes".to_owned(),
        "{\"Parameter\":{\"Value\":[]}}".to_owned(),
        "[".repeat(100_000),
        "<a>".repeat(100_000),
        "<a b='".to_owned() + &"c".repeat(1 << 20) + "'/>",
    ];
    for status in [YES, "302 Found", "400 Bad Request", "404 Not Found", "503 Slow", "599 What"] {
        for body in bodies.clone() {
            let start: String = body.chars().take(40).collect();
            let (images, _) = answering(move |_| http(status, &[], &body)).await;
            for (name, answer) in every(&images).await {
                let told = format!("{name}, {status}, {start:?}");
                let error = answer.expect_err(&told);
                let text = error.to_failure(Side::Target).to_string();
                assert!(text.len() < 2_000 && !text.contains('\n'), "{told}: {text}");
                assert!(!text.contains(server::SECRET_KEY), "{told}: {text}");
            }
        }
    }
    let log = String::from_utf8(log.0.lock().expect("not poisoned").clone()).expect("text");
    assert_eq!(log, "");
}

/// The SDK would take what there is for the whole, and a second image would be made of what was not seen.
#[tokio::test]
async fn a_list_that_breaks_off_is_no_list() {
    let item = "<item><imageId>ami-00000001</imageId><name>golden</name><imageState>available</imageState>\
                <imageOwnerId>111122223333</imageOwnerId></item>";
    let whole =
        format!("<DescribeImagesResponse><imagesSet>{item}</imagesSet></DescribeImagesResponse>");
    let at_item = whole.find("</imagesSet>").expect("it is there");
    for (body, is_whole) in [
        (format!("{whole}\n"), true),
        (whole[..at_item].to_owned(), false),
        (whole[..whole.len() - 1].to_owned(), false),
        (whole[..at_item - 1].to_owned(), false),
    ] {
        let (images, _) = answering(move |_| http(YES, &[], &body)).await;
        let found = images.find_images(By::Name("golden")).await;
        assert_eq!(found.is_ok(), is_whole, "{found:?}");
        if let Err(error) = found {
            assert_eq!(error.class(), FailureClass::Transient, "{error}");
        }
    }
}

/// A creating request that is answered without an id may have taken effect all the same.
#[tokio::test]
async fn a_yes_that_does_not_say_to_what_is_no_answer() {
    let (images, _) = answering(|_| http(YES, &[], "{}")).await;
    let error =
        images.put_parameter("/golden", "ami-00000001", false).await.expect_err("no version");
    assert!(error.answer_lost(), "{error}");
    let error = images.parameter("/golden").await.expect_err("no value");
    assert!(matches!(error, Error::BadAnswer(_)), "{error}");

    for name in ["CreateStoreImageTask", "CreateRestoreImageTask", "RegisterImage"] {
        let body = format!("<{name}Response><requestId>1</requestId></{name}Response>");
        let (images, _) = answering(move |_| http(YES, &[], &body)).await;
        let error = match name {
            "CreateStoreImageTask" => images.store("ami-00000001", "images", &tags()).await,
            "RegisterImage" => images.register(&registration()).await,
            _ => images.restore("images", "ami-00000001.bin", Some("golden"), &tags()).await,
        };
        let error = error.expect_err(name);
        assert!(error.answer_lost() && error.class() == FailureClass::Transient, "{error}");
    }
    let answer = "<DisableImageResponse><return>false</return></DisableImageResponse>";
    let (images, _) = answering(move |_| http(YES, &[], answer)).await;
    assert!(images.disable("ami-00000001").await.expect_err("neither yes nor no").answer_lost());
}

/// A server without DryRun did it: whoever only asked has to know.
#[tokio::test]
async fn a_rehearsal_that_was_carried_out_is_told() {
    let answer = "<DisableImageResponse><return>true</return></DisableImageResponse>";
    let (images, _) = answering(move |_| http(YES, &[], answer)).await;
    let error = images.may_disable("ami-00000001").await.expect_err("it was done");
    assert!(error.to_string().contains("ignores DryRun, and did it"), "{error}");
}

#[tokio::test]
async fn an_answer_that_does_not_end_is_not_held() {
    let (images, _) = answering(|_| http(YES, &[], &" ".repeat(33 << 20))).await;
    for error in [
        images.image("ami-00000001").await.expect_err("too much"),
        images.parameter("/golden").await.expect_err("too much"),
    ] {
        assert!(error.to_string().contains("length limit exceeded"), "{error}");
        assert_eq!(error.class(), FailureClass::Transient);
    }
}

#[tokio::test]
async fn a_list_that_does_not_end_is_an_error() {
    let page = |name: &str, set: &str| {
        format!("<{name}Response><{set}/><nextToken>again</nextToken></{name}Response>")
    };
    let body = page("DescribeImages", "imagesSet");
    let (images, asked) = answering(move |_| http(YES, &[], &body)).await;
    let error = images.find_images(By::Name("golden")).await.expect_err("no end");
    assert!(matches!(error, Error::BadAnswer(_)), "{error}");
    assert_eq!(asked.lock().expect("not poisoned").len(), pages::PAGES_MAX);
}

/// What a server leaves out or puts in must not be taken for what was asked for.
#[tokio::test]
async fn an_answer_about_something_else_is_an_error() {
    let image = |id: &str, name: &str| {
        format!(
            "<item><imageId>{id}</imageId><name>{name}</name><imageState>available</imageState>\
             <imageOwnerId>111122223333</imageOwnerId></item>"
        )
    };
    let body = format!(
        "<DescribeImagesResponse><imagesSet>{}{}</imagesSet></DescribeImagesResponse>",
        image("ami-00000002", "other"),
        image("ami-00000003", "golden")
    );
    let (images, _) = answering(move |_| http(YES, &[], &body)).await;
    let error = images.image("ami-00000001").await.expect_err("another");
    assert!(error.to_string().contains("the answer is about ami-00000002"), "{error}");
    // As from a server that ignores filters.
    let found = images.find_images(By::Name("golden")).await.expect("listed");
    assert_eq!(found.iter().map(|image| image.id.as_str()).collect::<Vec<_>>(), ["ami-00000003"]);

    let body = "<DescribeSnapshotsResponse><snapshotSet/></DescribeSnapshotsResponse>";
    let (images, _) = answering(move |_| http(YES, &[], body)).await;
    let error = images.snapshots(&["snap-1".to_owned()]).await.expect_err("left out");
    assert!(error.to_string().contains("leaves snap-1 out"), "{error}");
}

/// The clock is paused: the minute passes at once.
#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_is_transient() {
    let (images, _) = answering(|_| String::new()).await;
    let error = images.store("ami-00000001", "images", &tags()).await.expect_err("nobody answers");
    assert_eq!(error.class(), FailureClass::Transient, "{error}");
    assert!(error.answer_lost());
}

#[tokio::test]
async fn nothing_is_sent_before_the_account_is_known() {
    let (endpoint, asked) = scripted(None, |_| http(YES, &[], "")).await;
    let options = Options {
        expected_account: Some("111122223333".to_owned()),
        sts_endpoint: Some(endpoint.clone()),
        ..server::options(&endpoint)
    };
    let images = at(options, Arc::new(NoObserver)).await;
    for (name, answer) in every(&images).await {
        let error = answer.expect_err(name);
        assert!(matches!(error, Error::Unidentified(_)), "{name}: {error}");
        assert_eq!(
            error.class(),
            FailureClass::Credentials,
            "it is waited for, and burns no attempt"
        );
    }
    assert!(asked.lock().expect("not poisoned").is_empty());
}

/// A default that nobody asked for makes an image that does not boot.
#[tokio::test]
async fn what_ec2_would_choose_has_to_be_said() {
    let (images, asked) = answering(|_| http(YES, &[], "")).await;
    for forget in [
        |traits: &mut Traits| traits.architecture = None,
        |traits: &mut Traits| traits.virtualization = None,
        |traits: &mut Traits| traits.root_device_name = None,
    ] {
        let mut image = registration();
        forget(&mut image.traits);
        let error = images.register(&image).await.expect_err("not said");
        assert!(matches!(error, Error::Refused(_)) && error.to_string().contains("not said"));
        assert_eq!(images.may_register(&image).await, Err(error));
    }
    assert!(asked.lock().expect("not poisoned").is_empty());
}

/// What was counted: a request's name and outcome, or that the side asked to slow down.
#[derive(Debug, Default)]
struct Counted(Mutex<Vec<(&'static str, &'static str)>>);

impl Observe for Counted {
    fn record(&self, measure: Measure<'_>) {
        let counted = match measure {
            Measure::Request { operation, outcome, remote: "commercial", .. } => {
                (operation, outcome)
            }
            Measure::Throttled { remote: "commercial" } => ("slow down", ""),
            _ => return,
        };
        self.0.lock().expect("not poisoned").push(counted);
    }
}

#[tokio::test]
async fn each_request_is_counted_and_a_rehearsal_that_would_succeed_as_a_good_one() {
    let refusal = |code: &str| {
        format!("<Response><Errors><Error><Code>{code}</Code></Error></Errors></Response>")
    };
    let answers =
        Mutex::new(vec!["RequestLimitExceeded", "ResourceLimitExceeded", "DryRunOperation"]);
    let script = move |_: &str| {
        let code = answers.lock().expect("not poisoned").pop().expect("three are asked");
        http("412 Precondition Failed", &[], &refusal(code))
    };
    let (endpoint, _) = scripted(None, script).await;
    let counted = Arc::new(Counted::default());
    let images = at(server::options(&endpoint), Arc::clone(&counted) as SharedObserver).await;
    images.may_store("ami-00000001", "images").await.expect("it would succeed");
    let error = images.store("ami-00000001", "images", &tags()).await.expect_err("a quota");
    assert!(matches!(error, Error::Quota(_)), "{error}");
    let error = images.image("ami-00000001").await.expect_err("throttled");
    assert!(matches!(error, Error::Throttled(_)), "{error}");
    let counted = counted.0.lock().expect("not poisoned").clone();
    assert_eq!(
        counted,
        [
            ("CreateStoreImageTask", "ok"),
            ("CreateStoreImageTask", "transient"),
            ("DescribeImages", "throttled"),
            ("slow down", ""),
        ]
    );
}
