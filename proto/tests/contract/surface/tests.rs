//! Each way to break a peer, done to the contract itself, is seen; and what breaks nobody is not.

use prost_types::descriptor_proto::ReservedRange;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto,
    FileDescriptorProto, MethodDescriptorProto, OneofDescriptorProto,
};

use super::{breaches, gaps, lines};
use crate::contract;

type File = FileDescriptorProto;

fn message<'a>(file: &'a mut File, name: &str) -> &'a mut DescriptorProto {
    file.message_type.iter_mut().find(|message| message.name() == name).expect(name)
}

fn field<'a>(file: &'a mut File, owner: &str, name: &str) -> &'a mut FieldDescriptorProto {
    let fields = message(file, owner).field.iter_mut();
    fields.into_iter().find(|field| field.name() == name).expect(name)
}

fn kinds(file: &mut File) -> &mut EnumDescriptorProto {
    file.enum_type.iter_mut().find(|of| of.name() == "JobKind").expect("JobKind")
}

fn method<'a>(file: &'a mut File, name: &str) -> &'a mut MethodDescriptorProto {
    file.service[0].method.iter_mut().find(|method| method.name() == name).expect(name)
}

/// What the release is said to lose by a change.
fn told(change: impl FnOnce(&mut File)) -> Vec<String> {
    let mut changed = contract();
    change(&mut changed);
    breaches(&lines(&contract()).join("\n"), &lines(&changed))
}

/// One breach, and both lines of it.
fn became(change: impl FnOnce(&mut File), before: &str, after: &str) {
    let expected = format!("'{before}' became '{after}': undo it, and add what is new");
    assert_eq!(told(change), [expected]);
}

fn gone(change: impl FnOnce(&mut File), before: &str) {
    let told = told(change);
    assert!(told.iter().any(|line| line.starts_with(&format!("'{before}' is gone"))), "{told:?}");
}

const JOB: &str = "causeway.v1.Job: ";

#[test]
fn a_field_that_is_removed_renamed_or_renumbered_is_a_breach() {
    gone(
        |file| message(file, "Job").field.retain(|field| field.name() != "actor"),
        &format!("{JOB}string actor = 25"),
    );
    became(
        |file| field(file, "Job", "actor").name = Some("who".into()),
        &format!("{JOB}string actor = 25"),
        &format!("{JOB}string who = 25"),
    );
    became(
        |file| field(file, "Job", "actor").number = Some(99),
        &format!("{JOB}string actor = 25"),
        &format!("{JOB}string actor = 99"),
    );
}

#[test]
fn a_field_of_another_type_is_a_breach() {
    became(
        |file| field(file, "Job", "bytes_done").r#type = Some(Type::Uint32.into()),
        &format!("{JOB}uint64 bytes_done = 16"),
        &format!("{JOB}uint32 bytes_done = 16"),
    );
    became(
        |file| field(file, "Job", "source").type_name = Some(".causeway.v1.ImageRef".into()),
        &format!("{JOB}optional causeway.v1.ObjectRef source = 28"),
        &format!("{JOB}optional causeway.v1.ImageRef source = 28"),
    );
    let value_as_bytes = |file: &mut File| {
        let entry = &mut message(file, "Job").nested_type[0];
        assert_eq!(entry.name(), "LabelsEntry");
        entry.field[1].r#type = Some(Type::Bytes.into());
    };
    became(
        value_as_bytes,
        &format!("{JOB}map<string, string> labels = 9"),
        &format!("{JOB}map<string, bytes> labels = 9"),
    );
}

#[test]
fn a_field_of_another_label_is_a_breach() {
    became(
        |file| field(file, "Job", "warnings").label = Some(Label::Optional.into()),
        &format!("{JOB}repeated string warnings = 22"),
        &format!("{JOB}string warnings = 22"),
    );
    let always_there = |file: &mut File| {
        let total = field(file, "Job", "bytes_total");
        (total.proto3_optional, total.oneof_index) = (None, None);
    };
    became(
        always_there,
        &format!("{JOB}optional uint64 bytes_total = 15"),
        &format!("{JOB}uint64 bytes_total = 15"),
    );
    let into_a_group = |file: &mut File| {
        let group = OneofDescriptorProto { name: Some("who".into()), options: None };
        message(file, "Job").oneof_decl.push(group);
        let at = message(file, "Job").oneof_decl.len() - 1;
        field(file, "Job", "actor").oneof_index = Some(i32::try_from(at).expect("few"));
    };
    became(
        into_a_group,
        &format!("{JOB}string actor = 25"),
        &format!("{JOB}oneof who: string actor = 25"),
    );
}

#[test]
fn a_value_of_an_enum_that_is_removed_renamed_or_renumbered_is_a_breach() {
    let store = "causeway.v1.JobKind: JOB_KIND_STORE = 2";
    gone(|file| kinds(file).value.retain(|value| value.number() != 2), store);
    became(
        |file| kinds(file).value[2].name = Some("JOB_KIND_ARCHIVE".into()),
        store,
        "causeway.v1.JobKind: JOB_KIND_ARCHIVE = 2",
    );
    became(
        |file| kinds(file).value[2].number = Some(9),
        store,
        "causeway.v1.JobKind: JOB_KIND_STORE = 9",
    );
}

#[test]
fn a_message_an_enum_or_a_package_that_is_removed_or_renamed_is_a_breach() {
    gone(
        |file| file.message_type.retain(|message| message.name() != "SnapshotEnd"),
        "message causeway.v1.SnapshotEnd",
    );
    gone(|file| message(file, "Job").name = Some("Task".into()), "message causeway.v1.Job");
    gone(|file| kinds(file).name = Some("Kind".into()), "enum causeway.v1.JobKind");
    gone(|file| file.package = Some("causeway.v2".into()), "service causeway.v1.Control");
    gone(
        |file| file.service[0].name = Some("Daemon".into()),
        "causeway.v1.Control: rpc Get(causeway.v1.GetRequest) returns (causeway.v1.GetResponse)",
    );
}

#[test]
fn an_rpc_that_is_removed_or_takes_answers_or_streams_something_else_is_a_breach() {
    let get =
        "causeway.v1.Control: rpc Get(causeway.v1.GetRequest) returns (causeway.v1.GetResponse)";
    gone(|file| file.service[0].method.retain(|method| method.name() != "Get"), get);
    gone(|file| method(file, "Get").name = Some("Show".into()), get);
    let with = |from: &str, to: &str| get.replacen(from, to, 1);
    became(
        |file| method(file, "Get").input_type = Some(".causeway.v1.ListRequest".into()),
        get,
        &with("GetRequest", "ListRequest"),
    );
    became(
        |file| method(file, "Get").output_type = Some(".causeway.v1.Job".into()),
        get,
        &with("GetResponse", "Job"),
    );
    became(
        |file| method(file, "Get").server_streaming = Some(true),
        get,
        &with("returns (", "returns (stream "),
    );
    became(
        |file| method(file, "Get").client_streaming = Some(true),
        get,
        &with("Get(", "Get(stream "),
    );
}

#[test]
fn a_number_or_a_name_that_is_not_reserved_any_more_is_a_breach() {
    let mut reserving = contract();
    let job = message(&mut reserving, "Job");
    job.reserved_range.push(ReservedRange { start: Some(500), end: Some(502) });
    job.reserved_name.push("colour".into());
    let told = breaches(&lines(&reserving).join("\n"), &lines(&contract()));
    for reserved in ["reserved 500 to 501", "reserved \"colour\""] {
        assert!(told.iter().any(|line| line.contains(reserved)), "{told:?}");
    }
    assert_eq!(told.len(), 2);
}

#[test]
fn what_is_added_moved_or_said_otherwise_is_no_breach() {
    let told = told(|file| {
        let added = FieldDescriptorProto {
            name: Some("colour".into()),
            number: Some(900),
            r#type: Some(Type::String.into()),
            ..Default::default()
        };
        message(file, "Job").field.insert(0, added);
        message(file, "Job").field.reverse();
        let value = EnumValueDescriptorProto {
            name: Some("JOB_KIND_LATER".into()),
            number: Some(90),
            options: None,
        };
        kinds(file).value.push(value);
        file.message_type
            .push(DescriptorProto { name: Some("Later".into()), ..Default::default() });
        let again = MethodDescriptorProto {
            name: Some("Later".into()),
            ..file.service[0].method[0].clone()
        };
        file.service[0].method.insert(0, again);
        file.message_type.reverse();
        file.source_code_info = None;
    });
    assert_eq!(told, Vec::<String>::new());
}

#[test]
fn a_number_that_was_left_out_is_a_gap_until_it_is_reserved() {
    let mut file = contract();
    message(&mut file, "Job").field.retain(|field| field.number() != 25);
    kinds(&mut file).value.retain(|value| value.number() != 2);
    assert_eq!(gaps(&file), ["Job: reserve 25", "JobKind: reserve 2"]);
    let range = ReservedRange { start: Some(25), end: Some(26) };
    message(&mut file, "Job").reserved_range.push(range);
    assert_eq!(gaps(&file), ["JobKind: reserve 2"]);
}
