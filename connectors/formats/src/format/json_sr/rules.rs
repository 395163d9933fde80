//! What a schema says about values beyond their types: whether they may be null, and `enum` and `const`.
//!
//! Separate from the forms of values ([`super::encode`]), because those follow from types alone, while a rule is checked for
//! each row ([`super::check`]). The schemas that we make have no rules: all values in them may be null.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, FieldRef, Float64Type, Int32Type, Int64Type, i256};
use serde_json::Value;

use super::documents::{Documents, Node, is_null};
use super::encode::{Form, Member, entry_of, value_type};
use super::infer::{JsonType, json_type};
use crate::format::Layout;
use crate::format::json::Omission;
use crate::format::number::Literal;

/// How many parts of a schema are looked at for one value: unions in unions could otherwise multiply without end.
const STEPS_MAX: usize = 1_000;

/// What the schema of a value demands of it.
#[derive(Default)]
pub(super) struct Rule {
    pub(super) null: Null,
    pub(super) allowed: Option<Allowed>,
    /// The rules of the fields of a STRUCT, or the one of the items of an ARRAY or the values of a MAP; empty if there
    /// are none.
    pub(super) within: Vec<Rule>,
}

/// What happens to a null.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Null {
    /// It is written.
    #[default]
    Written,
    /// The member is left out of its object.
    LeftOut,
    /// The row is bad.
    Refused,
}

/// The values that `enum` and `const` allow, as the column has them. Other types than these are not checked.
pub(super) enum Allowed {
    Texts(Vec<String>),
    Booleans(Vec<bool>),
    Integers(Vec<i64>),
    Doubles(Vec<f64>),
    /// Unscaled.
    Decimals(Vec<i256>),
}

/// The rules for the columns of a layout that are written as `members`, one for each; empty if there are none.
pub(super) fn rules_of(documents: &Documents, root: Node<'_>, layout: &Layout, members: &[Member]) -> Vec<Rule> {
    let rules = match (layout.fields.as_slice(), members) {
        // A bare null has no payload.
        ([bare], [member]) if !layout.is_record() => {
            vec![Rule { null: Null::Written, ..value_rule(documents, Some(root), &member.form, bare.data_type()) }]
        }
        (columns, members) => match documents.resolve(root).and_then(|root| Ok((root, json_type(root)?))) {
            Ok((root, JsonType::Object)) => member_rules(documents, root, members, columns),
            _ => Vec::new(),
        },
    };
    unless_free(rules)
}

fn unless_free(rules: Vec<Rule>) -> Vec<Rule> {
    if rules.iter().all(Rule::is_free) { Vec::new() } else { rules }
}

fn member_rules(documents: &Documents, object: Node<'_>, members: &[Member], columns: &[FieldRef]) -> Vec<Rule> {
    let required = required(documents, object);
    let rule = |(member, column): (&Member, &FieldRef)| {
        let property = object.members("properties").and_then(|properties| properties.get(&member.name));
        let property = property.map(|value| object.beside(value)).or_else(|| object.member("additionalProperties"));
        let mut rule = value_rule(documents, property, &member.form, column.data_type());
        if rule.null == Null::Refused && !required.contains(&member.name.as_str()) {
            rule.null = Null::LeftOut;
        }
        rule
    };
    members.iter().zip(columns).map(rule).collect()
}

/// The members that an object must have, also by what `allOf` adds to it.
fn required<'d>(documents: &'d Documents, object: Node<'d>) -> Vec<&'d str> {
    let added = object.value.get("allOf").and_then(Value::as_array).into_iter().flatten();
    let added = added.filter_map(|part| documents.resolve(object.beside(part)).ok());
    let lists = std::iter::once(object).chain(added).filter_map(|node| node.value.get("required")?.as_array());
    lists.flatten().filter_map(Value::as_str).collect()
}

/// The rule for a value whose schema is this one, if it has one.
fn value_rule(documents: &Documents, node: Option<Node<'_>>, form: &Form, column: &DataType) -> Rule {
    let Some(node) = node else { return Rule::default() };
    let mut walk = Walk { documents, steps_left: STEPS_MAX };
    Rule {
        null: if walk.allows_null(node) { Null::Written } else { Null::Refused },
        allowed: Allowed::new(&walk.limits(node), &form.data_type(column)),
        within: unless_free(rules_within(documents, node, form, column)),
    }
}

fn rules_within(documents: &Documents, node: Node<'_>, form: &Form, column: &DataType) -> Vec<Rule> {
    let Ok((node, kind)) = documents.resolve(node).and_then(|node| Ok((node, json_type(node)?))) else {
        return Vec::new();
    };
    match (kind, form, column) {
        (JsonType::Object, Form::Struct(members), DataType::Struct(columns)) => {
            member_rules(documents, node, members, columns)
        }
        (JsonType::Array, Form::Array(item), DataType::List(field)) => {
            vec![value_rule(documents, node.member("items"), item, field.data_type())]
        }
        (JsonType::Object, Form::Object(value), DataType::Map(entries, _)) => {
            vec![value_rule(documents, node.member("additionalProperties"), value, value_type(entries))]
        }
        (JsonType::Array, Form::Entries(entry), DataType::Map(entries, _)) => {
            let rule = value_rule(documents, node.member("items"), entry, &entry_of(value_type(entries)));
            // An entry is never null.
            vec![Rule { null: Null::Written, ..rule }]
        }
        _ => Vec::new(),
    }
}

/// Looks at everything that a schema says about one value.
struct Walk<'d> {
    documents: &'d Documents,
    steps_left: usize,
}

impl<'d> Walk<'d> {
    /// False if there are no more steps.
    fn step(&mut self) -> bool {
        let is_left = self.steps_left > 0;
        self.steps_left = self.steps_left.saturating_sub(1);
        is_left
    }

    /// True if the schema allows null, or leads nowhere.
    fn allows_null(&mut self, node: Node<'d>) -> bool {
        if !self.step() {
            return true;
        }
        if let Some(reference) = node.text("$ref") {
            return self.documents.target(node, reference).map_or(true, |target| self.allows_null(target));
        }
        let has_null = |values: &Value| values.as_array().is_none_or(|values| values.contains(&Value::Null));
        let names_null = |names: &Value| match names {
            Value::Array(names) => names.iter().any(|name| name == "null"),
            name => name == "null",
        };
        let of = |key: &str, allows: &dyn Fn(&Value) -> bool| node.value.get(key).is_none_or(allows);
        of("type", &names_null)
            && of("const", &Value::is_null)
            && of("enum", &has_null)
            && self.parts(node, "oneOf").is_none_or(|mut parts| parts.any(|part| self.allows_null(part)))
            && self.parts(node, "anyOf").is_none_or(|mut parts| parts.any(|part| self.allows_null(part)))
            && self.parts(node, "allOf").is_none_or(|mut parts| parts.all(|part| self.allows_null(part)))
    }

    fn parts(&self, node: Node<'d>, key: &str) -> Option<impl Iterator<Item = Node<'d>> + use<'d>> {
        let parts = node.value.get(key)?.as_array()?;
        Some(parts.iter().map(move |part| node.beside(part)))
    }

    /// Lists of values: a value that is not null must be in each of them.
    fn limits(&mut self, node: Node<'d>) -> Vec<Vec<&'d Value>> {
        if !self.step() {
            return Vec::new();
        }
        if let Some(reference) = node.text("$ref") {
            return self.documents.target(node, reference).map_or_else(|_| Vec::new(), |target| self.limits(target));
        }
        let only = node.value.get("const").map(|only| vec![only]);
        let values = node.value.get("enum").and_then(Value::as_array).map(|values| values.iter().collect());
        let mut limits: Vec<Vec<_>> = only.into_iter().chain(values).collect();
        for part in self.parts(node, "allOf").into_iter().flatten() {
            limits.extend(self.limits(part));
        }
        for key in ["oneOf", "anyOf"] {
            let parts = self.parts(node, key).into_iter().flatten().filter(|part| !is_null(part.value));
            let parts: Vec<_> = parts.map(|part| self.limits(part)).collect();
            limits.extend(united(parts));
        }
        limits
    }
}

/// The limits of a value for which those of one of the parts hold; none if a part has no limit, or several.
fn united(mut parts: Vec<Vec<Vec<&Value>>>) -> Vec<Vec<&Value>> {
    match parts.len() {
        1 => parts.remove(0),
        0 => Vec::new(),
        _ if parts.iter().all(|part| part.len() == 1) => vec![parts.into_iter().flatten().flatten().collect()],
        _ => Vec::new(),
    }
}

impl Rule {
    /// True if it demands nothing.
    pub(super) fn is_free(&self) -> bool {
        self.null == Null::Written && self.allowed.is_none() && self.within.is_empty()
    }

    /// What the encoder of JSON leaves out.
    pub(super) fn omission(&self) -> Omission {
        let within = self.within.iter().map(Self::omission).collect();
        Omission { is_omitted: self.null == Null::LeftOut, within }
    }
}

impl Allowed {
    /// The values that are in all lists, for a column of this type.
    fn new(limits: &[Vec<&Value>], data_type: &DataType) -> Option<Self> {
        let (first, others) = limits.split_first()?;
        let is_in = |values: &Vec<&Value>, value: &Value| values.iter().any(|other| is_same(other, value));
        let values = first.iter().copied().filter(|value| others.iter().all(|other| is_in(other, value)));
        Some(match data_type {
            DataType::Utf8 => Self::Texts(values.filter_map(Value::as_str).map(str::to_owned).collect()),
            DataType::Boolean => Self::Booleans(values.filter_map(Value::as_bool).collect()),
            DataType::Int32 | DataType::Int64 => Self::Integers(values.filter_map(integer).collect()),
            DataType::Float64 => Self::Doubles(values.filter_map(Value::as_f64).collect()),
            DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => {
                Self::Decimals(values.filter_map(|value| unscaled(value, *scale)).collect())
            }
            _ => return None,
        })
    }

    /// True if the value of a row is among them. It must not be null.
    pub(super) fn has(&self, column: &ArrayRef, row: usize) -> bool {
        match self {
            Self::Texts(texts) => texts.iter().any(|text| text == column.as_string::<i32>().value(row)),
            Self::Booleans(values) => values.contains(&column.as_boolean().value(row)),
            Self::Integers(values) => values.contains(&match column.data_type() {
                DataType::Int32 => column.as_primitive::<Int32Type>().value(row).into(),
                _ => column.as_primitive::<Int64Type>().value(row),
            }),
            Self::Doubles(values) => values.contains(&column.as_primitive::<Float64Type>().value(row)),
            Self::Decimals(values) => values.contains(&match column.data_type() {
                DataType::Decimal128(..) => i256::from_i128(column.as_primitive::<Decimal128Type>().value(row)),
                _ => column.as_primitive::<Decimal256Type>().value(row),
            }),
        }
    }
}

/// Whether two values are equal in JSON Schema, where 1 and 1.0 are.
fn is_same(one: &Value, other: &Value) -> bool {
    one == other || one.as_f64().is_some_and(|number| Some(number) == other.as_f64())
}

/// A number without a fraction, which JSON may write with one.
fn integer(value: &Value) -> Option<i64> {
    unscaled(value, 0)?.to_i128().and_then(|number| i64::try_from(number).ok())
}

/// The unscaled number of a DECIMAL, of which the column has as many digits as there are.
fn unscaled(value: &Value, scale: i8) -> Option<i256> {
    let text = value.as_number()?.to_string();
    Literal::parse(text.as_bytes())?.decimal256(DIGITS_MAX, scale)
}

/// The most digits of a DECIMAL.
const DIGITS_MAX: u8 = 76;
