//! What every wire type says of itself, so that its schema, its reference and its golden bytes come from the type alone.
//!
//! A wire type is declared once, through [`crate::wire_struct!`], [`crate::wire_enum!`] or [`crate::wire_index!`]: the macro derives the codec and
//! implements [`Schema`] from the same lines. A schema written beside the code could drift from it; this one cannot.

use std::collections::BTreeMap;

/// A type that can be described in CDDL (RFC 8610) and that can make samples of itself.
pub trait Schema: Sized {
    /// How a field of this type is written in CDDL: a rule's name, or an expression.
    fn expression() -> String;

    /// Adds this type's rule, and those of all that it contains, to `catalogue`.
    fn describe(catalogue: &mut Catalogue);

    /// Fixed values that between them show every variant; never empty.
    fn samples() -> Vec<Self>;

    /// The first of [`Schema::samples`].
    ///
    /// # Panics
    ///
    /// When an implementation breaks the law that samples are never empty.
    #[must_use]
    fn sample() -> Self {
        #[expect(clippy::expect_used, reason = "a law of the trait")]
        Self::samples().into_iter().next().expect("a wire type has at least one sample")
    }
}

/// One named rule of the schema.
#[derive(Clone, Debug)]
pub struct Rule {
    /// What the type is, in the words of its documentation.
    pub doc: String,
    /// The right-hand side in CDDL.
    pub definition: String,
    /// The fields or variants with their documentation, for the reference.
    pub parts: Vec<(String, String)>,
    /// The encodings of the samples.
    pub golden: Vec<Vec<u8>>,
    /// Decodes bytes as the type and encodes it again.
    pub round_trip: fn(&[u8]) -> Result<Vec<u8>, crate::codec::Malformed>,
}

/// All rules that have been described so far, by name.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// The rules in the order of their names.
    pub rules: BTreeMap<String, Rule>,
}

impl Catalogue {
    /// Adds the rule `name` unless it stands already; says whether it was new.
    pub fn begin(&mut self, name: &str) -> bool {
        !self.rules.contains_key(name)
    }

    /// Puts a rule in.
    pub fn insert(&mut self, name: &str, rule: Rule) {
        self.rules.insert(name.to_owned(), rule);
    }
}

/// Joins the lines of a documentation comment.
#[must_use]
pub fn doc_text(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ").trim().to_owned()
}

/// Turns `CamelCase` into the `kebab-case` of CDDL rule names.
#[must_use]
pub fn rule_name(name: &str) -> String {
    let mut text = String::new();
    for (index, letter) in name.chars().enumerate() {
        if letter.is_ascii_uppercase() && index > 0 {
            text.push('-');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}

/// Declares a map with integer keys: the struct, its codec and its schema. `as "Name"` names its rule, where another module has a type of the
/// same name.
#[macro_export]
macro_rules! wire_struct {
    (
        $(#[doc = $doc:expr])*
        $(#[derive($($derive:ident),* $(,)?)])?
        pub struct $name:ident $(as $rule:literal)? {
            $( $(#[doc = $field_doc:expr])* #[n($key:literal)] pub $field:ident : $type:ty ),* $(,)?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode $($(, $derive)*)?)]
        #[cbor(map)]
        pub struct $name {
            $( $(#[doc = $field_doc])* #[n($key)] pub $field: $type, )*
        }

        impl $crate::schema::Schema for $name {
            fn expression() -> String {
                let names = [$( $rule, )? stringify!($name)];
                $crate::schema::rule_name(names.first().copied().unwrap_or_default())
            }

            fn describe(catalogue: &mut $crate::schema::Catalogue) {
                let name = <Self as $crate::schema::Schema>::expression();
                if !catalogue.begin(&name) {
                    return;
                }
                let fields: Vec<(u32, &str, String, String)> = vec![$( (
                    $key,
                    stringify!($field),
                    <$type as $crate::schema::Schema>::expression(),
                    $crate::schema::doc_text(&[$($field_doc),*]),
                ) ),*];
                let lines: Vec<String> = fields.iter().map(|(key, field, expression, _)| {
                    match expression.strip_suffix(" / absent") {
                        Some(inner) => format!("  ? {key} => {inner}, ; {field}\n"),
                        None => format!("  {key} => {expression}, ; {field}\n"),
                    }
                }).collect();
                catalogue.insert(&name, $crate::schema::Rule {
                    doc: $crate::schema::doc_text(&[$($doc),*]),
                    definition: if lines.is_empty() { "{ * uint => any }".to_owned() } else { format!("{{\n{}  * uint => any\n}}", lines.concat()) },
                    parts: fields.into_iter().map(|(key, field, _, doc)| (format!("{key} {field}"), doc)).collect(),
                    golden: <Self as $crate::schema::Schema>::samples().iter().map($crate::codec::encode).collect(),
                    round_trip: |bytes| $crate::codec::decode::<Self>(bytes).map(|value| $crate::codec::encode(&value)),
                });
                $( <$type as $crate::schema::Schema>::describe(catalogue); )*
            }

            fn samples() -> Vec<Self> {
                vec![Self { $( $field: <$type as $crate::schema::Schema>::sample(), )* }]
            }
        }
    };
}

/// Declares a choice, `[index, {fields}]` on the wire: the enum, its codec and its schema. `as "Name"` is as for a map.
#[macro_export]
macro_rules! wire_enum {
    (
        $(#[doc = $doc:expr])*
        $(#[derive($($derive:path),* $(,)?)])?
        pub enum $name:ident $(as $rule:literal)? {
            $(
                $(#[doc = $variant_doc:expr])*
                #[n($index:literal)]
                $(#[error($($error:tt)*)])?
                $variant:ident
                $({ $( $(#[doc = $field_doc:expr])* #[n($key:literal)] $field:ident : $type:ty ),* $(,)? })?
                $(( #[n(0)] $inner:ty ))?
            ),* $(,)?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode $($(, $derive)*)?)]
        #[cbor(map)]
        pub enum $name {
            $(
                $(#[doc = $variant_doc])*
                #[n($index)]
                $(#[error($($error)*)])?
                $variant
                $({ $( $(#[doc = $field_doc])* #[n($key)] $field: $type, )* })?
                $(( #[n(0)] $inner ))?,
            )*
        }

        impl $crate::schema::Schema for $name {
            fn expression() -> String {
                let names = [$( $rule, )? stringify!($name)];
                $crate::schema::rule_name(names.first().copied().unwrap_or_default())
            }

            fn describe(catalogue: &mut $crate::schema::Catalogue) {
                let name = <Self as $crate::schema::Schema>::expression();
                if !catalogue.begin(&name) {
                    return;
                }
                let variants: Vec<(u32, &str, Vec<(u32, &str, String)>, String)> = vec![$( (
                    $index,
                    stringify!($variant),
                    vec![
                        $($( ($key, stringify!($field), <$type as $crate::schema::Schema>::expression()) ),*)?
                        $( (0, "value", <$inner as $crate::schema::Schema>::expression()) )?
                    ],
                    $crate::schema::doc_text(&[$($variant_doc),*]),
                ) ),*];
                let arms: Vec<String> = variants.iter().map(|(index, variant, fields, _)| {
                    let inside: String = fields.iter().map(|(key, field, expression)| {
                        match expression.strip_suffix(" / absent") {
                            Some(inner) => format!(" ? {key} => {inner}, ; {field}\n     "),
                            None => format!(" {key} => {expression}, ; {field}\n     "),
                        }
                    }).collect();
                    format!("  [{index}, {{{inside} * uint => any }}] ; {variant}")
                }).collect();
                catalogue.insert(&name, $crate::schema::Rule {
                    doc: $crate::schema::doc_text(&[$($doc),*]),
                    definition: if arms.is_empty() { "[uint, { * uint => any }]".to_owned() } else { format!("\n{}", arms.join("\n/")) },
                    parts: variants.into_iter().map(|(index, variant, _, doc)| (format!("{index} {variant}"), doc)).collect(),
                    golden: <Self as $crate::schema::Schema>::samples().iter().map($crate::codec::encode).collect(),
                    round_trip: |bytes| $crate::codec::decode::<Self>(bytes).map(|value| $crate::codec::encode(&value)),
                });
                $( $($( <$type as $crate::schema::Schema>::describe(catalogue); )*)? $( <$inner as $crate::schema::Schema>::describe(catalogue); )? )*
            }

            fn samples() -> Vec<Self> {
                vec![$(
                    Self::$variant
                    $({ $( $field: <$type as $crate::schema::Schema>::sample(), )* })?
                    $(( <$inner as $crate::schema::Schema>::sample() ))?,
                )*]
            }
        }
    };
}

/// Declares a choice without content, a bare number on the wire: the enum, its codec and its schema.
#[macro_export]
macro_rules! wire_index {
    (
        $(#[doc = $doc:expr])*
        pub enum $name:ident {
            $( $(#[doc = $variant_doc:expr])* #[n($index:literal)] $variant:ident ),* $(,)?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode)]
        #[cbor(index_only)]
        pub enum $name {
            $( $(#[doc = $variant_doc])* #[n($index)] $variant, )*
        }

        impl $name {
            /// The number that stands for the variant on the wire and in databases.
            #[must_use]
            pub const fn number(self) -> u32 {
                match self { $( Self::$variant => $index, )* }
            }

            /// The variant that `number` stands for.
            #[must_use]
            pub const fn from_number(number: u32) -> Option<Self> {
                match number { $( $index => Some(Self::$variant), )* _ => None }
            }
        }

        impl $crate::schema::Schema for $name {
            fn expression() -> String {
                $crate::schema::rule_name(stringify!($name))
            }

            fn describe(catalogue: &mut $crate::schema::Catalogue) {
                let name = <Self as $crate::schema::Schema>::expression();
                let arms: Vec<String> = vec![$( format!("{} ; {}", $index, stringify!($variant)) ),*];
                catalogue.insert(&name, $crate::schema::Rule {
                    doc: $crate::schema::doc_text(&[$($doc),*]),
                    definition: format!("\n  {}", arms.join("\n/ ")),
                    parts: vec![$( (format!("{} {}", $index, stringify!($variant)), $crate::schema::doc_text(&[$($variant_doc),*])) ),*],
                    golden: <Self as $crate::schema::Schema>::samples().iter().map($crate::codec::encode).collect(),
                    round_trip: |bytes| $crate::codec::decode::<Self>(bytes).map(|value| $crate::codec::encode(&value)),
                });
            }

            fn samples() -> Vec<Self> {
                vec![$( Self::$variant ),*]
            }
        }
    };
}

/// Describes a type that is a single CBOR item, by an expression and a sample.
macro_rules! leaf {
    ($($type:ty => $expression:expr, $sample:expr;)*) => { $(
        impl $crate::schema::Schema for $type {
            fn expression() -> String { $expression.to_owned() }
            fn describe(_: &mut $crate::schema::Catalogue) {}
            fn samples() -> Vec<Self> { vec![$sample] }
        }
    )* };
}
pub(crate) use leaf;

leaf! {
    bool => "bool", true;
    u8 => "uint .size 1", 7;
    u16 => "uint .size 2", 700;
    u32 => "uint .size 4", 70_000;
    u64 => "uint .size 8", 5_000_000_000;
    String => "tstr", "words".to_owned();
    () => "null", ();
}

impl<T: Schema> Schema for Option<T> {
    fn expression() -> String {
        format!("{} / absent", T::expression())
    }
    fn describe(catalogue: &mut Catalogue) {
        T::describe(catalogue);
    }
    fn samples() -> Vec<Self> {
        vec![Some(T::sample()), None]
    }
}

impl<T: Schema> Schema for Vec<T> {
    fn expression() -> String {
        format!("[* {}]", T::expression())
    }
    fn describe(catalogue: &mut Catalogue) {
        T::describe(catalogue);
    }
    fn samples() -> Vec<Self> {
        vec![T::samples(), vec![]]
    }
}
