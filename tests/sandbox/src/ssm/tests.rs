//! SSM's rules, under a paused clock.

use serde_json::{Value, json};

use super::{Ssm, SsmOptions};
use crate::api::{Command, Refused, Service};
use crate::clock::Clock;
use crate::ec2::tests::{World, pass};
use crate::ec2::{Ec2Options, ImageSpec};

/// SSM over an EC2 with one image, which validates in 5 s.
fn start() -> (Ssm, World, String) {
    let world = World::of("us-east-2", Ec2Options::default());
    let id = world.ec2.add_image(ImageSpec::new("golden"));
    let prefix = "arn:aws:ssm:us-east-2:111122223333:parameter/".to_owned();
    let options = SsmOptions { validation_ms: 5_000 };
    (Ssm::new(world.ec2.clone(), Clock::new(), prefix, options), world, id)
}

fn ask(ssm: &Ssm, operation: &str, body: &Value) -> Result<Value, Refused> {
    let request = http::Request::builder().header("x-amz-target", format!("AmazonSSM.{operation}"));
    let parts = request.body(()).unwrap().into_parts().0;
    let command = Command::read(Service::Ssm, &parts, body.to_string().as_bytes());
    ssm.answer(&command).map(|body| serde_json::from_slice(&body).unwrap())
}

fn code(ssm: &Ssm, operation: &str, body: &Value) -> String {
    ask(ssm, operation, body).expect_err("nothing was refused").code
}

fn image(value: &str, overwrite: bool) -> Value {
    json!({
        "Name": "/golden", "Value": value, "Type": "String", "DataType": "aws:ec2:image",
        "Overwrite": overwrite,
    })
}

#[tokio::test(start_paused = true)]
async fn an_image_alias_is_there_only_when_it_is_validated() {
    let (ssm, _world, id) = start();
    let put = ask(&ssm, "PutParameter", &image(&id, false)).unwrap();
    assert_eq!(put["Version"], 1);
    let name = json!({ "Name": "/golden" });
    assert_eq!(code(&ssm, "GetParameter", &name), "ParameterNotFound");
    pass(6).await;
    let got = ask(&ssm, "GetParameter", &name).unwrap();
    assert_eq!(got["Parameter"]["Value"], id);
    assert_eq!(got["Parameter"]["DataType"], "aws:ec2:image");
    let arn = "arn:aws:ssm:us-east-2:111122223333:parameter/golden";
    assert_eq!(got["Parameter"]["ARN"], arn);
}

/// PutParameter says yes all the same.
#[tokio::test(start_paused = true)]
async fn an_alias_of_what_is_no_image_never_appears() {
    let (ssm, world, id) = start();
    ask(&ssm, "PutParameter", &image(&id, false)).unwrap();
    pass(6).await;
    for wrong in ["ami-00000000", "nonsense"] {
        assert_eq!(ask(&ssm, "PutParameter", &image(wrong, true)).unwrap()["Version"], 2);
        pass(6).await;
        assert_eq!(ssm.value("/golden"), Some((id.clone(), 1)), "{wrong}");
    }
    // One that is there, but not available.
    let key = world.store(&id).await;
    let form = format!("Action=CreateRestoreImageTask&Bucket=bucket&ObjectKey={key}&Name=new");
    world.ec2.change(|options| options.restore_ms_per_gib = 60_000);
    let answer = world.yes(&form).await;
    let pending = crate::ec2::tests::first(&answer, "imageId");
    ask(&ssm, "PutParameter", &image(pending, true)).unwrap();
    pass(6).await;
    assert_eq!(ssm.value("/golden"), Some((id, 1)));
}

#[tokio::test(start_paused = true)]
async fn versions_count_up_and_each_can_be_read() {
    let (ssm, _world, _) = start();
    let put = |value: &str, overwrite: bool| {
        let body =
            json!({ "Name": "/a/b", "Value": value, "Type": "String", "Overwrite": overwrite });
        ask(&ssm, "PutParameter", &body)
    };
    put("one", false).unwrap();
    assert_eq!(put("two", false).unwrap_err().code, "ParameterAlreadyExists");
    assert_eq!(put("two", true).unwrap()["Version"], 2);
    let first = ask(&ssm, "GetParameter", &json!({ "Name": "/a/b:1" })).unwrap();
    assert_eq!(
        (&first["Parameter"]["Value"], &first["Parameter"]["Selector"]),
        (&json!("one"), &json!(":1"))
    );
    assert_eq!(
        code(&ssm, "GetParameter", &json!({ "Name": "/a/b:9" })),
        "ParameterVersionNotFound"
    );
    let many = ask(&ssm, "GetParameters", &json!({ "Names": ["/a/b", "/none"] })).unwrap();
    assert_eq!(
        (&many["Parameters"][0]["Value"], &many["InvalidParameters"][0]),
        (&json!("two"), &json!("/none"))
    );
    let page =
        ask(&ssm, "GetParameterHistory", &json!({ "Name": "/a/b", "MaxResults": 1 })).unwrap();
    assert_eq!(page["Parameters"][0]["Version"], 1);
    let next = json!({ "Name": "/a/b", "NextToken": page["NextToken"] });
    let page = ask(&ssm, "GetParameterHistory", &next).unwrap();
    assert_eq!((&page["Parameters"][0]["Version"], &page["NextToken"]), (&json!(2), &Value::Null));
    ask(&ssm, "DeleteParameter", &json!({ "Name": "/a/b" })).unwrap();
    assert_eq!(code(&ssm, "DeleteParameter", &json!({ "Name": "/a/b" })), "ParameterNotFound");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_a_parameter_is_refused() {
    let (ssm, _world, _) = start();
    for (body, expected) in [
        (json!({ "Name": "no/root", "Value": "v", "Type": "String" }), "ValidationException"),
        (json!({ "Name": "/aws/x", "Value": "v", "Type": "String" }), "ValidationException"),
        (json!({ "Name": "/x", "Value": "", "Type": "String" }), "ValidationException"),
        (json!({ "Name": "/x", "Value": "v" }), "ValidationException"),
        (json!({ "Name": "/x", "Value": "v", "Type": "SecureString" }), "UnsupportedParameterType"),
        (
            json!({ "Name": "/a".repeat(16), "Value": "v", "Type": "String" }),
            "HierarchyLevelLimitExceededException",
        ),
    ] {
        assert_eq!(code(&ssm, "PutParameter", &body), expected, "{body}");
    }
    assert_eq!(code(&ssm, "LabelParameterVersion", &json!({})), "UnknownOperationException");
}
