//! What a peer relies on, a line for each thing. Whatever is a line of a released version has to be a line
//! of every later one: so a thing that is gone, renamed, renumbered, retyped, or of another label or
//! streaming, is a line that is gone.
//!
//! Text and not a compiled descriptor: a review sees what a change does to the API, comments and order apart.

use std::collections::BTreeSet;

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    MethodDescriptorProto,
};

/// All of a file, in its order.
pub fn lines(file: &FileDescriptorProto) -> Vec<String> {
    let package = file.package();
    let mut lines = Vec::new();
    for service in &file.service {
        let name = format!("{package}.{}", service.name());
        lines.push(format!("service {name}"));
        lines.extend(service.method.iter().map(|method| format!("{name}: {}", rpc(method))));
    }
    for message in &file.message_type {
        of_message(&format!("{package}.{}", message.name()), message, &mut lines);
    }
    for of in &file.enum_type {
        of_enum(&format!("{package}.{}", of.name()), of, &mut lines);
    }
    lines
}

fn rpc(method: &MethodDescriptorProto) -> String {
    let stream = |streaming| if streaming { "stream " } else { "" };
    let (sent, answered) = (method.input_type(), method.output_type());
    format!(
        "rpc {}({}{}) returns ({}{})",
        method.name(),
        stream(method.client_streaming()),
        bare(sent),
        stream(method.server_streaming()),
        bare(answered)
    )
}

fn of_message(name: &str, message: &DescriptorProto, lines: &mut Vec<String>) {
    lines.push(format!("message {name}"));
    let fields = message.field.iter();
    lines.extend(fields.map(|field| format!("{name}: {}", field_of(message, field))));
    let ranges = message.reserved_range.iter();
    // Its end is not in it.
    lines.extend(ranges.map(|r| format!("{name}: reserved {} to {}", r.start(), r.end() - 1)));
    let names = message.reserved_name.iter();
    lines.extend(names.map(|word| format!("{name}: reserved \"{word}\"")));
    for nested in message.nested_type.iter().filter(|nested| !is_map(nested)) {
        of_message(&format!("{name}.{}", nested.name()), nested, lines);
    }
    for nested in &message.enum_type {
        of_enum(&format!("{name}.{}", nested.name()), nested, lines);
    }
}

fn of_enum(name: &str, of: &EnumDescriptorProto, lines: &mut Vec<String>) {
    lines.push(format!("enum {name}"));
    lines.extend(of.value.iter().map(|v| format!("{name}: {} = {}", v.name(), v.number())));
    let ranges = of.reserved_range.iter();
    // Other than a message's, its end is in it.
    lines.extend(ranges.map(|r| format!("{name}: reserved {} to {}", r.start(), r.end())));
    lines.extend(of.reserved_name.iter().map(|word| format!("{name}: reserved \"{word}\"")));
}

fn field_of(message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
    let label = match field.oneof_index {
        Some(_) if field.proto3_optional() => "optional ".to_owned(),
        Some(at) => {
            let group = usize::try_from(at).ok().and_then(|at| message.oneof_decl.get(at));
            format!("oneof {}: ", group.map_or("", |group| group.name()))
        }
        None if map_of(message, field).is_some() => String::new(),
        None if field.label() == Label::Repeated => "repeated ".to_owned(),
        None => String::new(),
    };
    format!("{label}{} {} = {}", type_of(message, field), field.name(), field.number())
}

/// As it is written in a `.proto` file, message and enum types with their package.
pub fn type_of(message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
    if let Some(entry) = map_of(message, field) {
        let of = |at: usize| type_of(entry, &entry.field[at]);
        return format!("map<{}, {}>", of(0), of(1));
    }
    match field.r#type() {
        Type::Message | Type::Enum | Type::Group => bare(field.type_name()).to_owned(),
        scalar => scalar.as_str_name().trim_start_matches("TYPE_").to_lowercase(),
    }
}

/// The entry's type, where the field is a map.
fn map_of<'a>(
    message: &'a DescriptorProto,
    field: &FieldDescriptorProto,
) -> Option<&'a DescriptorProto> {
    let name = field.type_name().rsplit('.').next()?;
    message.nested_type.iter().find(|nested| is_map(nested) && nested.name() == name)
}

fn is_map(message: &DescriptorProto) -> bool {
    message.options.as_ref().is_some_and(|options| options.map_entry())
}

/// Without the dot that a whole name begins with.
pub fn bare(name: &str) -> &str {
    name.trim_start_matches('.')
}

/// What a released version has and the present one has not, a line each with what looks like it now.
pub fn breaches(released: &str, present: &[String]) -> Vec<String> {
    let now: BTreeSet<&str> = present.iter().map(String::as_str).collect();
    let gone = released.lines().filter(|line| !line.is_empty() && !now.contains(line));
    gone.map(|line| match present.iter().find(|other| alike(line, other)) {
        Some(other) => format!("'{line}' became '{other}': undo it, and add what is new"),
        None => format!("'{line}' is gone: put it back, as deprecated where it means nothing now"),
    })
    .collect()
}

/// The same name, or the same number, of one owner.
fn alike(line: &str, other: &str) -> bool {
    let named = |line: &str| {
        let (owner, what) = line.split_once(": ")?;
        if let Some(rpc) = what.strip_prefix("rpc ") {
            return Some((owner.to_owned(), rpc.split('(').next()?.to_owned(), String::new()));
        }
        let (left, number) = what.rsplit_once(" = ")?;
        Some((owner.to_owned(), left.rsplit(' ').next()?.to_owned(), number.to_owned()))
    };
    match (named(line), named(other)) {
        (Some(a), Some(b)) => a.0 == b.0 && (a.1 == b.1 || (!a.2.is_empty() && a.2 == b.2)),
        _ => false,
    }
}

/// Numbers below the largest of their owner that are neither used nor reserved.
pub fn gaps(file: &FileDescriptorProto) -> Vec<String> {
    let messages = file.message_type.iter().map(|message| {
        let used = message.field.iter().map(|field| field.number());
        let reserved = message.reserved_range.iter().flat_map(|r| r.start()..r.end());
        (message.name(), 1, used.chain(reserved).collect::<BTreeSet<i32>>())
    });
    let enums = file.enum_type.iter().map(|of| {
        let used = of.value.iter().map(|value| value.number());
        let reserved = of.reserved_range.iter().flat_map(|r| r.start()..=r.end());
        (of.name(), 0, used.chain(reserved).collect())
    });
    let all = messages.chain(enums);
    all.flat_map(|(name, first, taken)| {
        let last = taken.last().copied().unwrap_or_default();
        let free: Vec<_> = (first..last).filter(|number| !taken.contains(number)).collect();
        free.into_iter().map(move |number| format!("{name}: reserve {number}"))
    })
    .collect()
}

mod tests;
