//! The model of the conformance suite, rows of it, and a plain evaluator to compare the stores with.

use std::cmp::Ordering;
use std::sync::Arc;

use uuid::Uuid;
use ziggurat::crud::schema::{
    Bounds, BytesForm, ChoiceSort, DefaultValue, Field, Index, LegacyUuid, ListSort, Naive, Nested, Number, Tagged,
    Text, Type, Union, Unknown, Variant,
};
use ziggurat::crud::{Comparison, Decimal, Expr, Path, Pattern, Query, Schema, Sort, Value, json};

pub const ID: usize = 0;
pub const NAME: usize = 1;
pub const NICK: usize = 2;
pub const AGE: usize = 3;
pub const BIG: usize = 4;
pub const SCORE: usize = 5;
pub const RATE: usize = 6;
pub const FLAG: usize = 7;
pub const WHEN: usize = 8;
pub const REF: usize = 9;
pub const COLOR: usize = 10;
pub const TAGS: usize = 11;
pub const PLACE: usize = 12;
pub const MAIL: usize = 13;
pub const DAY: usize = 14;
pub const CLOCK: usize = 15;
pub const SPAN: usize = 16;
pub const PRICE: usize = 17;
pub const META: usize = 18;
pub const ANY: usize = 19;
pub const BLOB: usize = 20;
pub const EITHER: usize = 21;
pub const SHAPE: usize = 22;
pub const EXACT: usize = 23;
pub const MOMENT: usize = 24;
pub const SERIALS: usize = 25;
pub const HASH: usize = 26;
pub const MIDNIGHT: usize = 27;
pub const OLD: usize = 28;
pub const FIELDS: usize = 29;
/// What can be filtered and sorted by.
pub const SCALARS: [usize; 20] = [
    ID, NAME, NICK, AGE, BIG, SCORE, RATE, FLAG, WHEN, REF, COLOR, MAIL, DAY, CLOCK, SPAN, PRICE, EXACT, MOMENT,
    MIDNIGHT, OLD,
];

fn optional(kind: Type) -> Type {
    Type::Optional(Box::new(kind))
}

/// A model with a field of every type. Its name makes it a collection of its own.
pub fn schema(name: &str) -> Arc<Schema> {
    let text = || Type::Str(Text::default());
    let int = || Type::Int(Bounds::default());
    let float = || Type::Float(Bounds::default());
    let place = Schema {
        name: "Place".into(),
        fields: vec![
            Field::new("city", text()),
            Field::new("zip", optional(int())),
            Field::new("at", Type::DateTime(Naive::default())),
        ],
        id: None,
        unknown: Unknown::Forbid,
    };
    let color = vec![Value::Str("red".into()), Value::Str("green".into())];
    let fields = vec![
        Field::new("id", Type::Uuid).default(DefaultValue::Uuid7),
        Field::new("name", text()),
        Field::new("Name", optional(text())),
        Field::new("age", int()).index(Index::default()),
        Field::new("big", optional(int())),
        Field::new("score", float()),
        Field::new("rate", optional(float())).index(Index::default()),
        Field::new("flag", Type::Bool),
        Field::new("when", Type::DateTime(Naive::default())).index(Index::default()),
        Field::new("ref", optional(Type::Uuid)),
        Field::new("color", optional(Type::OneOf { values: color, sort: ChoiceSort::Literal })),
        Field::new("tags", Type::List { sort: ListSort::List, item: Box::new(text()), min: None, max: None }),
        Field::new("place", optional(Type::Model(place.into()))),
        Field::new("mail", optional(text())).index(Index::UNIQUE),
        Field::new("day", optional(Type::Date(Bounds::default()))).index(Index::default()),
        Field::new("clock", Type::Time(Bounds::default())),
        Field::new("span", optional(Type::Duration(Bounds::default()))).index(Index::default()),
        Field::new("price", optional(Type::Decimal(Number::default()))).index(Index::default()),
    ];
    let fields = [fields, loose(), written()].concat();
    assert_eq!(fields.len(), FIELDS);
    Arc::new(Schema { name: name.into(), fields, id: Some(ID), unknown: Unknown::Forbid })
}

/// Fields whose values hold what no model says.
fn loose() -> Vec<Field> {
    let counts = Type::Map { value: Box::new(optional(Type::Int(Bounds::default()))), min: None, max: None };
    let bytes = Type::Bytes { form: BytesForm::default(), min: None, max: None };
    vec![
        Field::new("meta", optional(counts)),
        Field::new("any", Type::Any),
        Field::new("blob", optional(bytes)),
        Field::new("either", either()),
        Field::new("shape", optional(Type::Tagged(shape()))),
    ]
}

/// Fields that JSON holds in another form than the stores do.
fn written() -> Vec<Field> {
    let serials =
        Type::List { sort: ListSort::List, item: Box::new(Type::IntText(Bounds::default())), min: None, max: None };
    vec![
        Field::new("exact", optional(Type::IntText(Bounds::default()))).index(Index::default()),
        Field::new("moment", optional(Type::Micros(Naive::default()))).index(Index::default()),
        Field::new("serials", serials),
        Field::new("hash", Type::Bytes { form: BytesForm::Hex, min: None, max: None }),
        Field::new("midnight", optional(Type::Midnight(Bounds::default()))).index(Index::default()),
        Field::new("old", optional(Type::LegacyUuid(LegacyUuid::Python))).index(Index::default()),
    ]
}

/// What looks different in JSON.
fn either() -> Type {
    let list = Type::List { sort: ListSort::List, item: Box::new(optional(Type::Uuid)), min: None, max: None };
    let types = [
        Type::Float(Bounds::default()),
        Type::Int(Bounds::default()),
        Type::DateTime(Naive::default()),
        Type::Bool,
        list,
    ];
    optional(Type::Union(Union::new([types.as_slice(), &[Type::Tagged(shape())]].concat()).unwrap()))
}

/// Two models that a member tells apart.
fn shape() -> Tagged {
    let one_of = |tags: &[Value<'static>]| Type::OneOf { values: tags.to_vec(), sort: ChoiceSort::Literal };
    let model =
        |name: &str, fields| Nested::from(Schema { name: name.into(), fields, id: None, unknown: Unknown::Forbid });
    let circle = vec![text("circle"), text("ring")];
    let square = vec![Value::Int(4)];
    let round = vec![Field::new("r", Type::Float(Bounds::default())), Field::new("kind", one_of(&circle))];
    let corners = vec![Field::new("kind", one_of(&square)), Field::new("r", optional(Type::Str(Text::default())))];
    let variants = vec![
        Variant { tags: circle, schema: model("Circle", round) },
        Variant { tags: square, schema: model("Square", corners) },
    ];
    Tagged::new("kind", variants).unwrap()
}

fn a_shape(random: &mut Random) -> Value<'static> {
    if random.below(2) == 0 {
        let kind = text(random.pick(&["circle", "ring"]));
        return Value::Tagged(0, vec![Value::Float(random.pick(&FLOATS)), kind]);
    }
    let name = text(random.pick(&TEXTS));
    Value::Tagged(1, vec![Value::Int(4), random.maybe(name)])
}

/// Names in dicts; some would be paths, operators or numbers elsewhere.
const NAMES: [&str; 9] = ["a", "b", "0", "1", "a'b\"", "é", " ", "__proto__", "_id"];

fn entries(random: &mut Random, value: fn(&mut Random, usize) -> Value<'static>, depth: usize) -> Value<'static> {
    let mut names = NAMES.to_vec();
    let count = random.below(4);
    let mut entries = Vec::new();
    for _ in 0..count {
        let name = names.remove(random.below(names.len()));
        entries.push((name.into(), value(random, depth)));
    }
    Value::Map(entries)
}

/// Members that are no fields; the name of the id is the store's own.
pub fn extras(random: &mut Random) -> Value<'static> {
    let Value::Map(mut extras) = entries(random, anything, 2) else { unreachable!() };
    extras.retain(|(name, _)| name != "_id");
    Value::Map(extras)
}

/// Whatever JSON holds.
fn anything(random: &mut Random, depth: usize) -> Value<'static> {
    match random.below(if depth == 0 { 5 } else { 7 }) {
        0 => Value::Null,
        1 => Value::Bool(random.below(2) == 0),
        2 => Value::Int(random.pick(&INTS)),
        3 => Value::Float(random.pick(&FLOATS)),
        4 => text(random.pick(&TEXTS)),
        5 => Value::List((0..random.below(3)).map(|_| anything(random, depth - 1)).collect()),
        _ => entries(random, anything, depth - 1),
    }
}

/// Where random values come from: xorshift, so that a failing seed can be run again.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    fn maybe(&mut self, value: Value<'static>) -> Value<'static> {
        if self.below(4) == 0 { Value::Null } else { value }
    }

    pub fn uuid(&mut self) -> Uuid {
        Uuid::from_u64_pair(self.next(), self.next())
    }
}

pub fn text(text: &str) -> Value<'static> {
    Value::Str(text.to_owned().into())
}

/// Texts that some layer might take for something else.
pub const TEXTS: [&str; 34] = [
    "",
    " ",
    "a",
    "b",
    "A",
    "aa",
    "ab",
    "é",
    "e\u{301}",
    "ß",
    "日本",
    "\u{10FFFF}",
    "\u{FFFF}",
    "😀",
    "\0",
    "a\0b",
    "a\0",
    "\u{1}\u{7f}",
    "\"",
    "\\",
    "'",
    "$gt",
    "$where",
    "$name",
    "a.b",
    "__proto__",
    "'; DROP TABLE c_row; --",
    "{\"$ne\":null}",
    "null",
    "1",
    "1.0",
    "true",
    "\u{2028}\n\r\t",
    "%_*[a-z]",
];
pub const INTS: [i64; 12] =
    [0, 1, -1, 2, 7, 255, 1 << 31, -(1 << 31) - 1, (1 << 53) + 1, -(1 << 53) - 1, i64::MAX, i64::MIN];
pub const FLOATS: [f64; 16] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.1,
    0.30000000000000004,
    1e300,
    -1e300,
    5e-324,
    f64::MAX,
    f64::MIN_POSITIVE,
    1e16,
    1e15,
    123456789.0,
    9007199254740993.0,
    1.7976931348623155e308,
];
pub const TIMES: [i64; 7] = [0, -1, 1, 1_709_210_096_007, json::FIRST_INSTANT, json::LAST_INSTANT, 951_782_400_000];

pub const DECIMALS: [&str; 16] = [
    "0",
    "-0.00",
    "1",
    "1.0",
    "1.00",
    "-1",
    "-1.5",
    "1.5",
    "0.1",
    "10",
    "9.99",
    "1E+30",
    "-1E-30",
    "1E-30",
    "1234567890123456789012345678901234",
    "-12345678901234567890.12345678901234",
];

/// A random value of the field's type.
pub fn value(random: &mut Random, field: usize) -> Value<'static> {
    match field {
        ID => Value::Uuid(random.uuid()),
        NAME => text(random.pick(&TEXTS)),
        NICK => {
            let value = text(random.pick(&TEXTS));
            random.maybe(value)
        }
        AGE => Value::Int(random.below(5) as i64),
        BIG => {
            let value = Value::Int(random.pick(&INTS));
            random.maybe(value)
        }
        SCORE => {
            let any = f64::from_bits(random.next());
            if any.is_finite() && random.below(2) == 0 { Value::Float(any) } else { Value::Float(random.pick(&FLOATS)) }
        }
        // Of moderate size: an index of SecantusDB 0.7.0b3 loses negative doubles of extreme exponents.
        RATE => {
            let value = Value::Float((random.next() as i64 >> 40) as f64 / 64.0);
            random.maybe(value)
        }
        FLAG => Value::Bool(random.below(2) == 0),
        WHEN => Value::DateTime(random.pick(&TIMES)),
        REF | OLD => {
            let value = Value::Uuid(Uuid::from_u128(random.below(4) as u128));
            random.maybe(value)
        }
        COLOR => {
            let value = text(random.pick(&["red", "green"]));
            random.maybe(value)
        }
        TAGS => Value::List((0..random.below(4)).map(|_| text(random.pick(&TEXTS))).collect()),
        PLACE => {
            let zip = Value::Int(random.pick(&INTS));
            let zip = random.maybe(zip);
            let place = vec![text(random.pick(&TEXTS)), zip, Value::DateTime(random.pick(&TIMES))];
            random.maybe(Value::Object(place))
        }
        MAIL => {
            let value = text(&format!("{}@example.org", random.next()));
            random.maybe(value)
        }
        DAY | MIDNIGHT => {
            let value = text(random.pick(&["0001-01-01", "1969-12-31", "2024-02-29", "2024-03-01", "9999-12-31"]));
            random.maybe(value)
        }
        SPAN => {
            let value =
                Value::Duration(random.pick(&[0, 1, -1, 999_999, 86_400_000_000, 31_536_000_000_000, i64::MAX, -5]));
            random.maybe(value)
        }
        META => {
            let count = |random: &mut Random, _| {
                let count = Value::Int(random.pick(&INTS));
                random.maybe(count)
            };
            let value = entries(random, count, 0);
            random.maybe(value)
        }
        ANY => anything(random, 2),
        BLOB => {
            let bytes: Vec<u8> = (0..random.below(5)).map(|_| random.next() as u8).collect();
            random.maybe(Value::Bytes(bytes.into()))
        }
        EITHER => match random.below(7) {
            0 => Value::Null,
            1 => Value::Int(random.pick(&INTS)),
            2 => Value::Float(random.pick(&FLOATS)),
            3 => Value::DateTime(random.pick(&TIMES)),
            4 => Value::Bool(random.below(2) == 0),
            5 => {
                let id = Value::Uuid(random.uuid());
                Value::List(vec![random.maybe(id)])
            }
            _ => a_shape(random),
        },
        SHAPE => {
            let value = a_shape(random);
            random.maybe(value)
        }
        PRICE => {
            let value = Value::Decimal(Decimal::parse(random.pick(&DECIMALS)).unwrap());
            random.maybe(value)
        }
        EXACT => {
            let value = Value::Int(random.pick(&INTS));
            random.maybe(value)
        }
        MOMENT => {
            let value = Value::Micros(random.pick(&TIMES) * 1000 + random.below(3) as i64 * 499);
            random.maybe(value)
        }
        SERIALS => Value::List((0..random.below(4)).map(|_| Value::Int(random.pick(&INTS))).collect()),
        HASH => Value::Bytes((0..random.below(5)).map(|_| random.next() as u8).collect::<Vec<_>>().into()),
        CLOCK => text(random.pick(&["00:00:00", "00:00:00.000001", "12:30:00", "12:30:00.500000", "23:59:59.999999"])),
        _ => unreachable!(),
    }
}

/// A random row.
pub fn row(random: &mut Random) -> Vec<Value<'static>> {
    (0..FIELDS).map(|field| value(random, field)).collect()
}

/// A comparable filter value for a field, never null.
pub fn operand(random: &mut Random, field: usize) -> Value<'static> {
    loop {
        let value = value(random, field);
        if value != Value::Null {
            return value;
        }
    }
}

/// A random predicate.
pub fn predicate(random: &mut Random, depth: usize) -> Expr {
    match random.below(if depth == 0 { 8 } else { 11 }) {
        0 | 1 => {
            let (field, value) = comparable(random);
            Expr::Compare { field, op: random.pick(&OPS), value }
        }
        2 => {
            let field = random.pick(&SCALARS);
            let values = (0..random.below(4)).map(|_| operand(random, field)).collect();
            Expr::In { field: field.into(), values }
        }
        3 => {
            let field = Path::from(random.below(FIELDS));
            let inside = random.below(6);
            Expr::IsNull { field: if inside < 3 { Path::from(PLACE).then(inside) } else { field } }
        }
        4 => like(random),
        5 => {
            let count = random.below(3);
            if random.below(2) == 0 {
                let values = (0..count).map(|_| Value::Int(random.pick(&INTS))).collect();
                return Expr::Has { field: SERIALS.into(), values };
            }
            let values = (0..count).map(|_| text(random.pick(&TEXTS))).collect();
            Expr::Has { field: TAGS.into(), values }
        }
        6 => Expr::Length { field: TAGS.into(), op: random.pick(&OPS), length: random.below(5) as u64 },
        7 => {
            let key = if random.below(4) == 0 { random.pick(&TEXTS) } else { random.pick(&NAMES) };
            Expr::HasKey { field: META.into(), key: key.to_owned() }
        }
        8 => Expr::And((0..random.below(4)).map(|_| predicate(random, depth - 1)).collect()),
        9 => Expr::Or((0..random.below(4)).map(|_| predicate(random, depth - 1)).collect()),
        _ => Expr::Not(Box::new(predicate(random, depth - 1))),
    }
}

/// A scalar, now and then of the nested model, and something to compare it with.
fn comparable(random: &mut Random) -> (Path, Value<'static>) {
    if random.below(3) > 0 {
        let field = random.pick(&SCALARS);
        return (field.into(), operand(random, field));
    }
    let inside = random.below(3);
    let value = match inside {
        0 => text(random.pick(&TEXTS)),
        1 => Value::Int(random.pick(&INTS)),
        _ => Value::DateTime(random.pick(&TIMES)),
    };
    (Path::from(PLACE).then(inside), value)
}

/// A pattern made of the text of a row, or of none.
fn like(random: &mut Random) -> Expr {
    let field = random.pick(&[Path::from(NAME), Path::from(NICK), Path::from(PLACE).then(0)]);
    let letters: Vec<char> = random.pick(&TEXTS).chars().collect();
    let fold = random.below(2) == 0;
    let mut pieces = vec![String::new()];
    for letter in letters {
        match random.below(5) {
            0 => pieces.push(String::new()),
            // Only where both cases are one letter each; how others fold differs between engines.
            1 if fold && letter.is_ascii() => pieces.last_mut().unwrap().extend(letter.to_uppercase()),
            _ => pieces.last_mut().unwrap().push(letter),
        }
    }
    Expr::Like { field, pattern: Pattern::new(pieces, fold) }
}

/// What is at a path; null where a model on the way is.
fn at<'r>(row: &'r [Value<'static>], path: &Path) -> &'r Value<'static> {
    let mut value = &row[path.first()];
    for index in path.below() {
        match value {
            Value::Object(values) => value = &values[*index],
            _ => return &Value::Null,
        }
    }
    value
}

pub const OPS: [Comparison; 6] =
    [Comparison::Eq, Comparison::Ne, Comparison::Gt, Comparison::Ge, Comparison::Lt, Comparison::Le];

/// The order of two values of one type; null is the least.
pub fn order(a: &Value<'_>, b: &Value<'_>) -> Ordering {
    match (a, b) {
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Less,
        (_, Value::Null) => Ordering::Greater,
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Int(a), Value::Int(b))
        | (Value::DateTime(a), Value::DateTime(b))
        | (Value::Micros(a), Value::Micros(b)) => a.cmp(b),
        (Value::Duration(a), Value::Duration(b)) => a.cmp(b),
        (Value::Decimal(a), Value::Decimal(b)) => a.cmp(b),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b).unwrap(),
        (Value::Str(a), Value::Str(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Value::Uuid(a), Value::Uuid(b)) => a.as_bytes().cmp(b.as_bytes()),
        _ => panic!("{a:?} and {b:?} are of two types"),
    }
}

/// Whether a predicate holds for a row, by the words on [`Expr`].
pub fn holds(expr: &Expr, row: &[Value<'static>]) -> bool {
    match expr {
        Expr::True => true,
        Expr::And(parts) => parts.iter().all(|part| holds(part, row)),
        Expr::Or(parts) => parts.iter().any(|part| holds(part, row)),
        Expr::Not(inner) => !holds(inner, row),
        Expr::HasKey { field, key } => match at(row, field) {
            Value::Map(entries) => entries.iter().any(|(name, _)| name == key),
            _ => false,
        },
        Expr::IsNull { field } => *at(row, field) == Value::Null,
        Expr::In { field, values } => {
            let stored = at(row, field);
            *stored != Value::Null && values.iter().any(|value| order(stored, value).is_eq())
        }
        Expr::Compare { field, op, value } => {
            let stored = at(row, field);
            if *stored == Value::Null {
                return *op == Comparison::Ne;
            }
            is(*op, order(stored, value))
        }
        Expr::Like { field, pattern } => matches!(at(row, field), Value::Str(text) if pattern.matches(text)),
        Expr::Has { field, values } => match at(row, field) {
            Value::List(items) => items.iter().any(|item| values.contains(item)),
            _ => false,
        },
        Expr::Search { .. } => panic!("only a store can tell"),
        Expr::Caller(never) => match *never {},
        Expr::Length { field, op, length } => match at(row, field) {
            Value::List(items) => is(*op, (items.len() as u64).cmp(length)),
            _ => *op == Comparison::Ne,
        },
    }
}

fn is(op: Comparison, order: Ordering) -> bool {
    match op {
        Comparison::Eq => order.is_eq(),
        Comparison::Ne => order.is_ne(),
        Comparison::Gt => order.is_gt(),
        Comparison::Ge => order.is_ge(),
        Comparison::Lt => order.is_lt(),
        Comparison::Le => order.is_le(),
    }
}

/// The rows that a query walks over, in order.
pub fn answer(query: &Query, rows: &[Vec<Value<'static>>]) -> Vec<Vec<Value<'static>>> {
    let mut found: Vec<_> = rows.iter().filter(|row| holds(&query.filter, row)).cloned().collect();
    found.sort_by(|a, b| {
        let by_keys = query.sort.iter().map(|Sort { field, descending }| {
            let order = order(&a[*field], &b[*field]);
            if *descending { order.reverse() } else { order }
        });
        by_keys.fold(Ordering::Equal, Ordering::then).then_with(|| order(&a[ID], &b[ID]))
    });
    found
}

/// The canonical JSON of a row.
pub fn text_of(schema: &Schema, row: &[Value<'static>]) -> String {
    String::from_utf8(json::document(schema, &Value::Object(row.to_vec())).to_vec()).unwrap()
}
