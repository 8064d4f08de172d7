//! What attackers send, each thing in each place where it could do harm, against both stores: it is refused as the table
//! says, or it is a value like any other.

use std::collections::BTreeSet;
use std::time::Duration;

use http::StatusCode;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value as Json, json};
use tempfile::TempDir;
use ziggurat::crud::store::AnyStore;
use ziggurat::crud::{Pattern, ResourceOptions};

use crate::mongo::{Mongo, is_off};
use crate::socket::{Client, Listening};
use crate::support::{Answer, App, every_op};

const ODD: &str = r#"{"name":"Odd","id":"id","fields":[
  {"name":"id","type":{"type":"str"}},
  {"name":"name","type":{"type":"optional","of":{"type":"str"}},"default":{"value":null},"index":{}},
  {"name":"n","type":{"type":"optional","of":{"type":"int"}},"default":{"value":null}},
  {"name":"x","type":{"type":"optional","of":{"type":"float"}},"default":{"value":null}},
  {"name":"d","type":{"type":"optional","of":{"type":"decimal"}},"default":{"value":null}},
  {"name":"tags","type":{"type":"list","items":{"type":"str"}},"default":{"value":[]}},
  {"name":"meta","type":{"type":"dict","values":{"type":"any"}},"default":{"value":{}}},
  {"name":"any","type":{"type":"any"},"default":{"value":null}},
  {"name":"home","type":{"type":"optional","of":{"type":"model","schema":{"name":"Home","fields":[
     {"name":"city","type":{"type":"str"}}]}}},"default":{"value":null}}]}"#;

/// Texts that mean something to a store, a pattern, a path or a header, and nothing here.
const TEXTS: &[&str] = &[
    // MongoDB: operators, references to fields, variables, code.
    "$gt",
    r#"{"$gt":""}"#,
    r#"{"$where":"sleep(1000)"}"#,
    "$name",
    "$$ROOT",
    "$where",
    "$__proto__",
    "name[$ne]",
    "[$ne]",
    "1; return true",
    "function(){while(1);}",
    // SQL.
    "'",
    "' OR '1'='1",
    "'; DROP TABLE c_odd; --",
    "\"",
    "x\" OR 1=1 --",
    "`",
    "?1",
    ";",
    "--",
    "X'00'",
    "NULL",
    // Paths into JSON.
    "$.a",
    "$.\"a\"",
    "a\"b",
    "$[0]",
    "a.b",
    "...",
    "/a/0",
    // Wildcards of LIKE, GLOB and regular expressions.
    "%",
    "_",
    "100%",
    "a_b",
    "axb",
    "*",
    "a*b",
    "[",
    "[a-z]",
    "?",
    "\\",
    "\\%",
    "\\\\",
    ".*",
    "^a",
    "^$",
    "(?i)a",
    "(a+)+$",
    "a{1,9}",
    "\\x41",
    "\\d",
    "\\E",
    "[[:alpha:]]",
    "a#b",
    "a b",
    " ",
    "a&b",
    "~",
    // What the query string is made of.
    "eq.x",
    "not.eq.x",
    "is.null",
    "in.(a,b)",
    "null",
    "or",
    "(",
    ")",
    ",",
    "a,b",
    "\"a\",\"b\"",
    "a=b",
    "+",
    "%00",
    "%2F",
    "%c0%af",
    // JavaScript's and Python's own names.
    "__proto__",
    "constructor",
    "__class__",
    // Characters.
    "\0",
    "a\0",
    "a\0b",
    "a",
    "A",
    "é",
    "e\u{301}",
    "É",
    "\u{feff}a",
    "\u{202e}a",
    "\u{d7ff}",
    "\u{e000}",
    "\u{ffff}",
    "\u{10ffff}",
    "\u{7f}",
    "\u{85}",
    "\u{2028}",
    "\t",
    "a\r",
    "\n",
    "ß",
    "ẞ",
    "ſ",
    "s",
    "İ",
    "K",
    "k",
    // Headers, pages, paths.
    "a\r\nSet-Cookie: a=b",
    "\r\n\r\n<script>",
    "<script>alert(1)</script>",
    "${jndi:ldap://x}",
    "../../etc/passwd",
    "//evil.example",
    "https://evil.example",
    "a/b",
    "a?b",
];

/// Where something is put.
#[derive(Clone, Copy, Debug)]
enum At {
    /// The body of a `POST`; `ID` in it is the id of a row that is not there.
    Create,
    /// The body of a `PUT`, to a row that is there.
    Replace,
    /// The body of a `PUT`, to one that is not.
    Upsert,
    /// The body of a `PATCH` of a row, and of all rows that a filter holds for.
    Patch,
    PatchMany,
    /// The body of a `QUERY`.
    Query,
    /// The query string of a list.
    List,
    /// The last segment of a path.
    Get,
    Put,
    Delete,
    /// A whole target.
    Target,
    IfMatch,
    IfNoneMatch,
    Key,
    Prefer,
}

use At::{
    Create, Delete, Get, IfMatch, IfNoneMatch, Key, List, Patch, PatchMany, Prefer, Put, Query, Replace, Target, Upsert,
};

/// What is put where, and what must come: of a refusal the status and what was wrong where, else the status and a part of
/// the answer, which is also in the row when it is read again.
const CASES: &[(At, &[u8], &str)] = &[
    // Operators as values.
    (Create, br#"{"id":"ID","name":{"$gt":""}}"#, "422 /name string_type"),
    (Create, br#"{"id":{"$ne":null}}"#, "422 /id string_type"),
    (Create, br#"{"id":"ID","n":{"$inc":1}}"#, "422 /n int_type"),
    (Create, br#"{"id":"ID","tags":{"$each":["a"]}}"#, "422 /tags list_type"),
    (Create, br#"{"id":"ID","tags":[{"$ne":1}]}"#, "422 /tags/0 string_type"),
    (
        Create,
        br#"{"id":"ID","home":{"$ref":"odd","$id":"ada"}}"#,
        "422 /home/$ref extra_forbidden /home/$id extra_forbidden /home/city missing",
    ),
    (Replace, br#"{"name":{"$gt":""}}"#, "422 /name string_type"),
    (Upsert, br#"{"name":{"$literal":1}}"#, "422 /name string_type"),
    (Patch, br#"{"name":{"$concat":["$name","x"]}}"#, "422 /name string_type"),
    (PatchMany, br#"{"name":{"$concat":["$name","x"]}}"#, "422 /name string_type"),
    (Patch, br#"{"n":{"$numberLong":"7"}}"#, "422 /n int_type"),
    (Query, br#"{"filter":["name",{"$gt":""},1]}"#, "422 /filter filter_type"),
    (Query, br#"{"filter":["name","eq",{"$gt":""}]}"#, "422 /filter/2 string_type"),
    (Query, br#"{"filter":["name","in",[{"$gt":""}]]}"#, "422 /filter/2 string_type"),
    (Query, br#"{"filter":["name","in",{"$gt":""}]}"#, "422 /filter/2 list_type"),
    (Query, br#"{"filter":["name","$eq","a"]}"#, "422 /filter/1 operator"),
    (Query, br#"{"filter":["name","regex",".*"]}"#, "422 /filter/1 operator"),
    (Query, br#"{"filter":{"$where":"1"}}"#, "422 /filter filter_type"),
    (Query, br#"{"filter":{"name":{"$ne":null}}}"#, "422 /filter filter_type"),
    (Query, br#"{"filter":{"$or":[["name","eq","a"]]}}"#, "422 /filter filter_type"),
    (Query, br#"{"filter":{"or":{"0":["name","eq","a"]}}}"#, "422 /filter/or list_type"),
    (Query, br#"{"filter":["$where","eq","1"]}"#, "400 /filter/0 unknown_parameter"),
    (Query, br#"{"filter":["name.$ne","eq","1"]}"#, "400 /filter/0 unknown_parameter"),
    (Query, br#"{"filter":["__proto__","eq","1"]}"#, "400 /filter/0 unknown_parameter"),
    (Query, br#"{"sort":["$natural"]}"#, "400 /sort unknown_parameter"),
    (Query, br#"{"sort":[{"$meta":"x"}]}"#, "422 /sort list_type"),
    (Query, br#"{"fields":["$name"]}"#, "400 /fields unknown_parameter"),
    (Query, br#"{"cursor":{"$gt":""}}"#, "422 /cursor string_type"),
    (Query, br#"{"limit":{"$gt":0}}"#, "422 /limit int_parsing"),
    (Query, br#"{"$where":"1"}"#, "400 /$where unknown_parameter"),
    (Query, br#"{"__proto__":{"filter":null}}"#, "400 /__proto__ unknown_parameter"),
    // Operators and other tricks as names.
    (Create, br#"{"id":"ID","$set":{"name":"x"}}"#, "422 /$set extra_forbidden"),
    (Create, br#"{"id":"ID","_id":"ada"}"#, "422 /_id extra_forbidden"),
    (Create, br#"{"id":"ID","_v":9}"#, "422 /_v extra_forbidden"),
    (Create, br#"{"id":"ID","ver":9}"#, "422 /ver extra_forbidden"),
    (Create, br#"{"id":"ID","__proto__":{"name":"x"}}"#, "422 /__proto__ extra_forbidden"),
    (Create, br#"{"id":"ID","constructor":{"prototype":{"name":"x"}}}"#, "422 /constructor extra_forbidden"),
    (Create, br#"{"id":"ID","home.city":"x"}"#, "422 /home.city extra_forbidden"),
    (Create, br#"{"id":"ID","name\u0000":"x"}"#, "422 /name\0 extra_forbidden"),
    (Create, br#"{"id":"ID","NAME":"x"}"#, "422 /NAME extra_forbidden"),
    (Create, br#"{"id":"ID","tags.0":"x"}"#, "422 /tags.0 extra_forbidden"),
    (Replace, br#"{"_id":"ada"}"#, "422 /_id extra_forbidden"),
    (Replace, br#"{"id":"ada"}"#, "422 /id id_mismatch"),
    (Patch, br#"{"$set":{"name":"x"}}"#, "422 /$set extra_forbidden"),
    (Patch, br#"{"$unset":{"name":1}}"#, "422 /$unset extra_forbidden"),
    (Patch, br#"{"home.city":"x"}"#, "422 /home.city extra_forbidden"),
    (Patch, br#"{"home":{"$set":"x"}}"#, "422 /home/$set extra_forbidden"),
    (Patch, br#"{"_id":"x"}"#, "422 /_id extra_forbidden"),
    (Patch, br#"{"id":"x"}"#, "422 /id id_mismatch"),
    (Patch, br#"[{"op":"replace","path":"/name","value":"x"}]"#, "422  model_type"),
    (Patch, br#"[{"$set":{"name":"x"}}]"#, "422  model_type"),
    (PatchMany, br#"{"$set":{"name":"x"}}"#, "422 /$set extra_forbidden"),
    (PatchMany, br#"{"home.city":"x"}"#, "422 /home.city extra_forbidden"),
    (PatchMany, br#"{"id":"x"}"#, "422 /id read_only"),
    (PatchMany, br#"[{"$set":{"name":"x"}}]"#, "422  model_type"),
    // The names of dicts, which are names in the store.
    (Create, br#"{"id":"ID","meta":{"$gt":1}}"#, "422 /meta/$gt invalid_key"),
    (Create, br#"{"id":"ID","meta":{"a.b":1}}"#, "422 /meta/a.b invalid_key"),
    (Create, br#"{"id":"ID","meta":{"a\u0000":1}}"#, "422 /meta/a\0 invalid_key"),
    (Create, br#"{"id":"ID","meta":{"":1}}"#, "422 /meta/ invalid_key"),
    (Create, br#"{"id":"ID","meta":{"a":{"$where":"1"}}}"#, "422 /meta/a/$where invalid_key"),
    (Create, br#"{"id":"ID","any":{"$date":0}}"#, "422 /any/$date invalid_key"),
    (Create, br#"{"id":"ID","any":{"$oid":"0123456789abcdef01234567"}}"#, "422 /any/$oid invalid_key"),
    (Create, br#"{"id":"ID","any":[[{"a.b":1}]]}"#, "422 /any/0/0/a.b invalid_key"),
    (Patch, br#"{"meta":{"$gt":1}}"#, "422 /meta/$gt invalid_key"),
    (Patch, br#"{"meta":{"a.b":null}}"#, "422 /meta/a.b invalid_key"),
    (PatchMany, br#"{"any":{"$gt":1}}"#, "422 /any/$gt invalid_key /any nested_change"),
    (PatchMany, br#"{"any":{"x":"$name"}}"#, "422 /any nested_change"),
    (PatchMany, br#"{"any":["$name",{"y":"$$ROOT"}],"name":"$name"}"#, "200 {\"matched\":1,\"modified\":1}"),
    (Create, br#"{"id":"ID","meta":{"__proto__":1,"constructor":2}}"#, r#"201 "meta":{"__proto__":1,"constructor":2}"#),
    (Create, br#"{"id":"ID","any":{"__proto__":{"x":"$x"}}}"#, r#"201 "any":{"__proto__":{"x":"$x"}}"#),
    (Create, br#"{"id":"ID","meta":{"a\"b":1,"'":2,"0":3,"[0]":4}}"#, r#"201 "meta":{"a\"b":1,"'":2,"0":3,"[0]":4}"#),
    (Patch, br#"{"meta":{"a\"b":1,"_id":2,"_v":3}}"#, r#"200 "meta":{"a\"b":1,"_id":2,"_v":3}"#),
    // Names that come twice.
    (Create, br#"{"id":"ID","name":"a","name":"b"}"#, "422 /name duplicate_key"),
    (Create, br#"{"id":"ID","id":"ada"}"#, "422 /id duplicate_key"),
    (Create, br#"{"id":"ID","n\u0061me":"a","name":"b"}"#, "422 /name duplicate_key"),
    (Create, br#"{"id":"ID","meta":{"a":1,"\u0061":2}}"#, "422 /meta/a duplicate_key"),
    (Create, br#"{"id":"ID","any":{"a":{"b":1,"b":2}}}"#, "422 /any/a/b duplicate_key"),
    (Replace, br#"{"name":"a","name":"b"}"#, "422 /name duplicate_key"),
    (Patch, br#"{"name":"a","name":null}"#, "422 /name duplicate_key"),
    (Query, br#"{"filter":["name","eq","x"],"filter":null}"#, "400 /filter duplicate_key"),
    (List, b"limit=1&limit=1000", "400 limit duplicate_parameter"),
    (List, b"sort=id&sort=name", "400 sort duplicate_parameter"),
    (List, b"cursor=a&cursor=b", "400 cursor duplicate_parameter"),
    // Encodings.
    (Create, b"\xef\xbb\xbf{\"id\":\"ID\"}", "400"),
    (Create, b"\xff\xfe{\0}\0", "400"),
    (Create, b"{\"id\":\"ID\",\"name\":\"\xc0\xaf\"}", "400"),
    (Create, b"{\"id\":\"ID\",\"name\":\"\xe0\x80\xaf\"}", "400"),
    (Create, b"{\"id\":\"ID\",\"name\":\"\xed\xa0\x80\"}", "400"),
    (Create, b"{\"id\":\"ID\",\"name\":\"\xf4\x90\x80\x80\"}", "400"),
    (Create, b"{\"id\":\"ID\",\"name\":\"\x80\"}", "400"),
    (Create, b"{\"id\":\"ID\",\"na\xffme\":\"x\"}", "400"),
    (Create, b"{\"id\":\"ID\",\"name\":\"a\0b\"}", "400"),
    (Create, b"{\"id\":\"ID\"}\0", "400"),
    (Create, b"{\"id\":\"ID\"}{\"id\":\"other\"}", "400"),
    (Create, br#"{"id":"ID","name":"\ud800"}"#, "422 /name string_unicode"),
    (Create, br#"{"id":"ID","name":"\udc00\ud800"}"#, "422 /name string_unicode"),
    (Create, br#"{"id":"ID","any":["\ud800"]}"#, "422 /any/0 string_unicode"),
    (Create, br#"{"id":"ID","name":"\u{41}"}"#, "400"),
    (Create, br#"{"id":"ID","name":'a'}"#, "400"),
    (Create, br#"{"id":"ID",/**/"name":"a"}"#, "400"),
    (Patch, b"{\"name\":\"\xc0\xaf\"}", "400"),
    (Patch, b"\xef\xbb\xbf{}", "400"),
    (PatchMany, b"{\"name\":\"\xc0\xaf\"}", "400"),
    (Query, b"{\"filter\":[\"name\",\"eq\",\"\xc0\xaf\"]}", "400"),
    (Query, br#"{"filter":["name","eq","\ud800"]}"#, "422 /filter/2 string_unicode"),
    (Query, b"\xef\xbb\xbf{}", "400"),
    (List, b"name=%c0%af", "400"),
    (List, b"name=%e0%80%af", "400"),
    (List, b"name=%ed%a0%80", "400"),
    (List, b"name=%ff", "400"),
    (List, b"name=%", "400"),
    (List, b"name=%4", "400"),
    (List, b"name=%u0041", "400"),
    (List, b"na%ffme=x", "400"),
    (List, b"name=x%00", r#"200 "items":[]"#),
    (List, b"name%00=x", "400 name\0 unknown_parameter"),
    (List, b"%00", "400 \0 unknown_parameter"),
    (List, b"sort=id%00", "400 sort unknown_parameter"),
    (List, b"fields=id%00", "400 fields unknown_parameter"),
    (List, b"limit=1%00", "422 limit int_parsing"),
    (List, b"cursor=%00", "400 cursor cursor"),
    // Numbers.
    (Create, br#"{"id":"ID","x":1e400}"#, "400"),
    (Create, br#"{"id":"ID","any":1e400}"#, "400"),
    (Create, br#"{"id":"ID","x":NaN}"#, "400"),
    (Create, br#"{"id":"ID","x":Infinity}"#, "400"),
    (Create, br#"{"id":"ID","x":-Infinity}"#, "400"),
    (Create, br#"{"id":"ID","x":"NaN"}"#, "422 /x float_type"),
    (Create, br#"{"id":"ID","x":0x10}"#, "400"),
    (Create, br#"{"id":"ID","x":01}"#, "400"),
    (Create, br#"{"id":"ID","x":1E-400}"#, r#"201 "x":0.0"#),
    (Create, br#"{"id":"ID","x":-0}"#, r#"201 "x":-0.0"#),
    (Create, br#"{"id":"ID","x":-0.0}"#, r#"201 "x":-0.0"#),
    (Create, br#"{"id":"ID","x":5e-324}"#, r#"201 "x":5e-324"#),
    (Create, br#"{"id":"ID","x":1.7976931348623157e308}"#, r#"201 "x":1.7976931348623157e308"#),
    (Create, br#"{"id":"ID","x":123456789012345678901234567890}"#, r#"201 "x":1.2345678901234568e29"#),
    (Create, br#"{"id":"ID","n":123456789012345678901234567890}"#, "422 /n int_out_of_range"),
    (Create, br#"{"id":"ID","n":9223372036854775808}"#, "422 /n int_out_of_range"),
    (Create, br#"{"id":"ID","n":-9223372036854775808}"#, r#"201 "n":-9223372036854775808"#),
    (Create, br#"{"id":"ID","n":-0}"#, r#"201 "n":0"#),
    (Create, br#"{"id":"ID","n":1.0}"#, "422 /n int_type"),
    (Create, br#"{"id":"ID","n":1e3}"#, "422 /n int_type"),
    (Create, br#"{"id":"ID","any":[123456789012345678901234567890,-0]}"#, r#"201 "any":[1.2345678901234568e29,-0.0]"#),
    (Create, br#"{"id":"ID","d":1e400}"#, r#"201 "d":"1E+400""#),
    (Create, br#"{"id":"ID","d":"1e9999999999"}"#, "422 /d decimal_out_of_range"),
    (Create, br#"{"id":"ID","d":"NaN"}"#, "422 /d finite_number"),
    (Create, br#"{"id":"ID","d":"sNaN"}"#, "422 /d finite_number"),
    (Create, br#"{"id":"ID","d":"Infinity"}"#, "422 /d finite_number"),
    (Create, br#"{"id":"ID","d":123456789012345678901234567890}"#, r#"201 "d":"123456789012345678901234567890""#),
    (Create, br#"{"id":"ID","d":12345678901234567890123456789012345}"#, "422 /d decimal_max_digits"),
    (Create, br#"{"id":"ID","d":-0}"#, r#"201 "d":"-0""#),
    (Create, br#"{"id":"ID","d":1E-400}"#, r#"201 "d":"1E-400""#),
    (List, b"x=NaN", "422 x float_parsing"),
    (List, b"x=inf", "422 x float_parsing"),
    (List, b"x=gt.-Infinity", "422 x float_parsing"),
    (List, b"x=1e400", "422 x float_parsing"),
    (List, b"x=1E-400&fields=x&sort=id", "200 "),
    (List, b"n=123456789012345678901234567890", "422 n int_out_of_range"),
    (List, b"n=1e3", "422 n int_parsing"),
    (List, b"n=+1", "422 n int_parsing"),
    (List, b"n=%D9%A1", "422 n int_parsing"),
    (List, b"d=NaN", "422 d finite_number"),
    (List, b"d=1e9999999999", "422 d decimal_out_of_range"),
    (List, b"limit=0", "422 limit greater_than_equal"),
    (List, b"limit=-1", "422 limit int_parsing"),
    (List, b"limit=1e3", "422 limit int_parsing"),
    (List, b"limit=99999999999999999999999", "422 limit int_parsing"),
    (List, b"limit=18446744073709551615", "422 limit less_than_equal"),
    (List, b"offset=-1", "422 offset int_parsing"),
    (List, b"offset=9223372036854775808", "422 offset less_than_equal"),
    (Query, br#"{"filter":["x","gt",1e400]}"#, "422 /filter/2 float_parsing"),
    (Query, br#"{"filter":["x","gt",NaN]}"#, "400"),
    (Query, br#"{"filter":["n","eq",-0]}"#, r#"200 "id":"minus""#),
    (Query, br#"{"filter":["n","eq",1e3]}"#, "422 /filter/2 int_type"),
    (Query, br#"{"filter":["tags","len",1e3]}"#, "422 /filter/2 int_type"),
    (Query, br#"{"filter":["tags","len",-1]}"#, "422 /filter/2 int_type"),
    (Query, br#"{"limit":1e400}"#, "422 /limit int_parsing"),
    // Names of filters.
    (List, b"name[$ne]=x", "400 name[$ne] unknown_parameter"),
    (List, b"name%5B%24ne%5D=x", "400 name[$ne] unknown_parameter"),
    (List, b"name[]=x", "400 name[] unknown_parameter"),
    (List, b"name.$ne=x", "400 name.$ne unknown_parameter"),
    (List, b"$where=1", "400 $where unknown_parameter"),
    (List, b"$or=(name.eq.a)", "400 $or unknown_parameter"),
    (List, b"__proto__=x", "400 __proto__ unknown_parameter"),
    (List, b"__proto__.name=x", "400 __proto__.name unknown_parameter"),
    (List, b"constructor.prototype=x", "400 constructor.prototype unknown_parameter"),
    (List, b"_id=ada", "400 _id unknown_parameter"),
    (List, b"_v=gt.0", "400 _v unknown_parameter"),
    (List, b"ver=gt.0", "400 ver unknown_parameter"),
    (List, b"doc=x", "400 doc unknown_parameter"),
    (List, b"rowid=1", "400 rowid unknown_parameter"),
    (List, b"f_name=x", "400 f_name unknown_parameter"),
    (List, b"NAME=x", "400 NAME unknown_parameter"),
    (List, b"name'--=x", "400 name'-- unknown_parameter"),
    (List, b"name)%20OR%201=1", "400 name) OR 1 unknown_parameter"),
    (List, b"home=x", "422 home operator"),
    (List, b"home.=x", "400 home. unknown_parameter"),
    (List, b"home.city.x=x", "400 home.city.x unknown_parameter"),
    (List, b"home.$city=x", "400 home.$city unknown_parameter"),
    (List, b"home..city=x", "400 home..city unknown_parameter"),
    (List, b"tags.0=x", "400 tags.0 unknown_parameter"),
    (List, b"meta.a=x", "400 meta.a unknown_parameter"),
    (List, b"any.a=x", "400 any.a unknown_parameter"),
    (List, b"name=regex..*", r#"200 "items":[]"#),
    (List, b"name=$ne.x", r#"200 "items":[]"#),
    (List, b"meta=haskey.$gt", r#"200 "items":[]"#),
    (List, b"meta=haskey.a.b", r#"200 "items":[]"#),
    (List, b"meta=haskey.", r#"200 "items":[]"#),
    (List, b"meta=haskey.a%00", r#"200 "items":[]"#),
    (List, b"meta=haskey.x%22y", r#"200 "items":[]"#),
    (List, b"meta=haskey.*", r#"200 "items":[]"#),
    (List, b"meta=eq.x", "422 meta operator"),
    (List, b"tags=len.-1", "422 tags operator"),
    (List, b"tags=len.99999999999999999999", "422 tags int_out_of_range"),
    (List, b"tags=len.$gt.1", "422 tags operator"),
    (List, b"or=(%7B%22$gt%22:1%7D)", "400 or unknown_parameter"),
    (List, b"or=(name.eq.a,$where.eq.1)", "400 or unknown_parameter"),
    (List, b"or=()", "400 or unknown_parameter"),
    (List, b"or=(", "422 or operator"),
    (List, b"or=(name.eq.%22a)", "422 or operator"),
    (List, b"name=in.(a,%22b)", "422 name operator"),
    (List, b"name=in.(%22a%22b)", "422 name operator"),
    (List, b"name=in.a", "422 name operator"),
    (List, b"name=in.()", r#"200 "items":[]"#),
    (List, b"name=is.true", "422 name operator"),
    // Sorts and fields.
    (List, b"sort=_id", "400 sort unknown_parameter"),
    (List, b"sort=$natural", "400 sort unknown_parameter"),
    (List, b"sort=id;DROP%20TABLE%20c_odd", "400 sort unknown_parameter"),
    (List, b"sort=id%20DESC", "400 sort unknown_parameter"),
    (List, b"sort=id%22", "400 sort unknown_parameter"),
    (List, b"sort=--id", "400 sort unknown_parameter"),
    (List, b"sort=1", "400 sort unknown_parameter"),
    (List, b"sort=random()", "400 sort unknown_parameter"),
    (List, b"sort=id,id", "400 sort duplicate_parameter"),
    (List, b"sort=home.city", "400 sort unknown_parameter"),
    (List, b"sort=meta", "400 sort not_scalar"),
    (List, b"fields=*", "400 fields unknown_parameter"),
    (List, b"fields=_v", "400 fields unknown_parameter"),
    (List, b"fields=_id", "400 fields unknown_parameter"),
    (List, b"fields=$name", "400 fields unknown_parameter"),
    (List, b"fields=meta.a", "400 fields unknown_parameter"),
    (List, b"fields=home.$", "400 fields unknown_parameter"),
    (List, b"fields=", "400 fields missing"),
    (List, b"fields=id'", "400 fields unknown_parameter"),
    // Cursors that are none.
    (List, b"cursor=", "400 cursor cursor"),
    (List, b"cursor=x", "400 cursor cursor"),
    (List, b"cursor=AQAAAAAAAAAAWyJhIl0", "400 cursor cursor"),
    (List, b"cursor=!!!!", "400 cursor cursor"),
    (List, b"cursor=%7B%22$gt%22:%22%22%7D", "400 cursor cursor"),
    (List, b"cursor=AQ%3D%3D", "400 cursor cursor"),
    // Ids.
    (Get, b"nobody", "404"),
    (Get, b"%00", "404"),
    (Get, b"ada%00", "404"),
    (Get, b"ada%20", "404"),
    (Get, b"ADA", "404"),
    (Get, b"%61da", r#"200 "id":"ada""#),
    (Get, b"ada'--", "404"),
    (Get, b"ada'%20OR%20'1'='1", "404"),
    (Get, b"%7B%22$ne%22:null%7D", "404"),
    (Get, b"[$ne]", "404"),
    (Get, b"..%2Fada", "404"),
    (Get, b"..%2f..%2fetc%2fpasswd", "404"),
    (Get, b"%2e%2e", "404"),
    (Get, b"ada%2F", "404"),
    (Get, b"ada/", "404"),
    (Get, b"x/../ada", "404"),
    (Get, b"*", "404"),
    (Get, b"%25", "404"),
    (Get, b"%c0%ae", "400 id percent_encoding"),
    (Get, b"%ff", "400 id percent_encoding"),
    (Get, b"%", "400 id percent_encoding"),
    (Get, b"ada?fields=_v", "400 fields unknown_parameter"),
    (Get, b"ada?name=x", "400 name unknown_parameter"),
    (Delete, b"%7B%22$ne%22:null%7D", "404"),
    (Delete, b"*", "404"),
    (Delete, b"%25", "404"),
    (Delete, b"'%20OR%201=1", "404"),
    (Delete, b"%00", "404"),
    (Put, b"_hidden", "404"),
    (Put, b"_v", "404"),
    (Put, b"..", "404"),
    (Put, b"%2E", "404"),
    (Create, br#"{"id":".."}"#, "422 /id reserved_id"),
    (Create, br#"{"id":"."}"#, "422 /id reserved_id"),
    (Create, br#"{"id":""}"#, "422 /id reserved_id"),
    (Create, br#"{"id":"_export"}"#, "422 /id reserved_id"),
    // Targets that no client would make.
    (Target, b"/odd?name=\xff", "400"),
    (Target, b"/odd/\xc0\xaf", "400"),
    (Target, b"/odd?name=\0", "400"),
    (Target, b"/odd?name=\"", "400"),
    (Target, b"/odd?name=a b", "400"),
    (Target, b"//odd", "404"),
    (Target, b"/odd//ada", "404"),
    (Target, b"/./odd", "404"),
    (Target, b"/odd;x=1", "404"),
    (Target, b"/odd%2fada", "404"),
    (Target, b"/ODD", "404"),
    // Conditions.
    (IfMatch, b"\"zz zz\"", "412"),
    (IfMatch, b"\"'--\"", "412"),
    (IfMatch, b"\"{$gt:0}\"", "412"),
    (IfMatch, b"\"zzzzzzzzzzzzzzzzzzzzzzzz\"", "412"),
    (IfMatch, b"\"-1\"", "412"),
    (IfMatch, b"\"\"", "412"),
    (IfMatch, b"W/\"0\"", "412"),
    (IfMatch, b"0", "400 if-match entity_tag"),
    (IfMatch, b"\"0", "400 if-match entity_tag"),
    (IfMatch, b"\"\xff\"", "400 if-match entity_tag"),
    (IfMatch, b"{\"$gt\":0}", "400 if-match entity_tag"),
    (IfMatch, b"", "412"),
    (IfMatch, b"* , *", "400 if-match entity_tag"),
    (IfNoneMatch, b"\xff", "400 if-none-match entity_tag"),
    (IfNoneMatch, b"*;*", "400 if-none-match entity_tag"),
    // Keys of requests that may come again.
    (Key, b"", "400 idempotency-key header"),
    (Key, b"\"\"", "400 idempotency-key header"),
    (Key, b"\xff", "400 idempotency-key header"),
    (Key, b"a\tb", r#"201 "name":"key""#),
    (Key, b"{\"$gt\":\"\"}", r#"201 "name":"key""#),
    (Key, b"'; DROP TABLE zg_keys; --", r#"201 "name":"key""#),
    (Key, b"$where", r#"201 "name":"key""#),
    (Key, b"%00", r#"201 "name":"key""#),
    (Prefer, b"count=exact; $where=1", "200 "),
    (Prefer, b"\xff", "200 "),
];

/// The cases that are too long to be written down.
fn long_cases() -> Vec<(At, Vec<u8>, &'static str)> {
    let nested = |open: &str, inner: &str, close: &str, depth: usize| {
        format!("{}{inner}{}", open.repeat(depth), close.repeat(depth)).into_bytes()
    };
    let any = |inner: Vec<u8>| [br#"{"id":"ID","any":"#, &inner[..], b"}"].concat();
    let long = |name: &str, length: usize| format!("{name}={}", "x".repeat(length)).into_bytes();
    let or = |depth: usize| {
        let group = nested("or(", "name.eq.a", ")", depth);
        [b"or=(", &group[..], b")"].concat()
    };
    let filter = |depth: usize| {
        let inner = nested(r#"{"not":"#, r#"["name","eq","a"]"#, "}", depth);
        [br#"{"filter":"#, &inner[..], b"}"].concat()
    };
    vec![
        (Create, any(nested("[", "", "]", 100_000)), "400"),
        (Create, any(nested(r#"{"a":"#, "1", "}", 100_000)), "400"),
        (Create, any(nested("[", "", "]", 64)), "422"),
        (Create, any(nested("[", "", "]", 63)), "201 "),
        (Create, any(nested(r#"{"a":"#, "1", "}", 63)), "201 "),
        (Create, vec![b'['; 100_000], "400"),
        (Create, nested(r#"{"id":"#, "1", "}", 100_000), "400"),
        (Create, format!(r#"{{"id":"ID","x":{}}}"#, "9".repeat(100_000)).into_bytes(), "400"),
        (Create, format!(r#"{{"id":"ID","d":{}}}"#, "9".repeat(100_000)).into_bytes(), "422 /d decimal_max_digits"),
        (Create, format!(r#"{{"id":"ID","{}":1}}"#, "x".repeat(100_000)).into_bytes(), "422"),
        (Create, format!(r#"{{"id":"ID","name":"{}"}}"#, "x".repeat(2 << 20)).into_bytes(), "413"),
        (Patch, nested(r#"{"any":"#, "1", "}", 100_000), "400"),
        (PatchMany, nested(r#"{"any":"#, "1", "}", 100_000), "400"),
        (Query, filter(3), r#"200 "items":"#),
        (Query, filter(5), "422 /filter/not/not/not/not too_deep"),
        (Query, filter(100_000), "422 /filter/not/not/not/not too_deep"),
        (Query, nested("[", "", "]", 100_000), "400"),
        (List, or(3), r#"200 "items":"#),
        (List, or(4), "422 or too_deep"),
        (List, or(3000), "422 or too_deep"),
        (List, [b"or=", &nested("(", "", ")", 3000)[..]].concat(), "400 or unknown_parameter"),
        (List, long("name", 4096), r#"200 "items":[]"#),
        (List, long("name", 4097), "422 name string_too_long"),
        (List, long("name=like.*&name", 4097), "422 name string_too_long"),
        (List, long("meta=haskey.&meta=haskey.", 100), "200 "),
        (List, long("cursor", 15_000), "400 cursor cursor"),
        (List, long("sort", 15_000), "400 sort unknown_parameter"),
        (List, long(&"x".repeat(15_000), 1), "400"),
        (List, long("name", 20_000), "414"),
        (List, format!("name=in.({})", ["a"; 501].join(",")).into_bytes(), "422 name too_long"),
        (List, ["name=a"; 33].join("&").into_bytes(), "400"),
        (List, format!("or=({})", ["name.eq.a"; 33].join(",")).into_bytes(), "400"),
        (List, format!("sort={}", ["id"; 2000].join(",")).into_bytes(), "400"),
        (Get, vec![b'x'; 15_000], "404"),
        (Get, vec![b'x'; 20_000], "414"),
        (Key, vec![b'k'; 255], r#"201 "name":"key""#),
        (Key, vec![b'k'; 256], "400 idempotency-key header"),
        (IfMatch, ["\"0\""; 10_000].join(",").into_bytes(), "412"),
        (IfMatch, vec![b'"'; 60_000], "400 if-match entity_tag"),
    ]
}

/// The headers of an answer to a `POST`, and no others.
const HEADERS: [&str; 8] =
    ["cache-control", "content-length", "content-type", "date", "etag", "location", "vary", "x-content-type-options"];

/// Rows that nothing may touch.
const ROWS: [&str; 3] = [
    r#"{"id":"ada","name":"Ada","n":36,"x":1.5,"d":"1.50","tags":["a","b"],"meta":{"a":1,"b":null},"any":["$x",{"y":0}],"home":{"city":"Ur"}}"#,
    r#"{"id":"bob","name":null,"n":-1,"x":null,"d":null,"tags":[],"meta":{},"any":null,"home":null}"#,
    r#"{"id":"minus","name":"-","n":0,"x":-0.0,"d":"-0.0","tags":["-"],"meta":{"-":"-"},"any":"-","home":{"city":"-"}}"#,
];

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Where a row is.
fn path_of(id: &str) -> String {
    const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    format!("/odd/{}", utf8_percent_encode(id, SEGMENT))
}

/// In quotes, as in a list of choices.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// An id that is a text, or almost.
fn id_of(text: &str) -> String {
    if text.starts_with('_') { format!("={text}") } else { text.to_owned() }
}

/// The row that holds a text everywhere.
fn row_of(id: &str, text: &str) -> String {
    let [id, text] = [id, text].map(|text| serde_json::to_string(text).unwrap());
    format!(
        r#"{{"id":{id},"name":{text},"n":null,"x":null,"d":null,"tags":[{text}],"meta":{{"k":{text}}},"any":[{text},{{"k":{text}}}],"home":{{"city":{text}}}}}"#
    )
}

/// A problem, or what came instead of one.
fn told(answer: &Answer) -> String {
    match answer.header("content-type") {
        "application/problem+json" => answer.problem(),
        _ => format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body)),
    }
}

/// A client of one store that keeps a record of what it was answered.
struct Attacker {
    client: Client,
    _listening: Listening,
    /// What was sent and what came.
    record: Vec<(String, String)>,
    wrong: Vec<String>,
    count: usize,
}

impl Attacker {
    async fn of(store: AnyStore) -> Self {
        let options = ResourceOptions::new().ops(every_op()).client_id(true).upsert(true).bulk(true).idempotency(true);
        let listening = App::over(store, ODD, options).await.listen();
        let client = Client::new(listening.addr);
        let mut attacker = Self { client, _listening: listening, record: Vec::new(), wrong: Vec::new(), count: 0 };
        for row in ROWS {
            let made = attacker.send("POST", "/odd", &[], row).await;
            assert_eq!((made.status.as_u16(), made.text()), (201, row.to_owned()));
        }
        attacker
    }

    async fn send(
        &mut self,
        method: &str,
        target: impl AsRef<[u8]>,
        headers: &[(&str, &[u8])],
        body: impl AsRef<[u8]>,
    ) -> Answer {
        let headers = [&[("content-type", &b"application/json"[..])], headers].concat();
        let shown = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
        let sent = format!("{method} {} {}", shown(target.as_ref()), shown(body.as_ref()));
        let sending = self.client.send(method, &target, &headers, &body);
        let answer = match tokio::time::timeout(Duration::from_secs(20), sending).await {
            Ok(Ok(answer)) => answer,
            other => panic!("{sent}: {:?}", other.map(|sent| sent.map(|_| ()))),
        };
        if answer.status.is_server_error() {
            self.wrong(format!("{sent}: {}", answer.text()));
        }
        // All that is not of this moment.
        let headers = ["location", "content-type", "content-length", "total-count", "link"].map(|n| answer.header(n));
        let came = format!("{} {headers:?} {}", answer.status, String::from_utf8_lossy(&answer.body));
        self.record.push((sent, came));
        answer
    }

    fn check(&mut self, what: &str, is: impl PartialEq + std::fmt::Debug, be: impl PartialEq + std::fmt::Debug) {
        let (is, be) = (format!("{is:?}"), format!("{be:?}"));
        if is != be {
            self.wrong(format!("{what}: {is} instead of {be}"));
        }
    }

    /// Notes what is wrong, in short.
    fn wrong(&mut self, what: String) {
        self.wrong.push(what.chars().take(600).collect());
    }

    /// The ids on a page.
    fn ids(answer: &Answer) -> BTreeSet<String> {
        let ids = |item: &Json| item["id"].as_str().unwrap().to_owned();
        answer.json()["items"].as_array().into_iter().flatten().map(ids).collect()
    }

    /// A row is made of each text, and named by it.
    async fn create(&mut self) {
        for text in TEXTS {
            let id = id_of(text);
            let (path, row) = (path_of(&id), row_of(&id, text));
            let made = self.send("POST", "/odd", &[], &row).await;
            self.check(text, (made.status.as_u16(), made.header("location"), made.text()), (201, &path, &row));
            let names: BTreeSet<&str> = made.headers.keys().map(http::HeaderName::as_str).collect();
            self.check(text, names, BTreeSet::from(HEADERS));
            let read = self.send("GET", &path, &[], "").await;
            self.check(text, (read.status.as_u16(), read.text()), (200, row));
        }
    }

    /// A text is kept as it is, whichever way it is written.
    async fn write(&mut self) {
        let ids: Vec<String> = (0..TEXTS.len()).map(|index| format!("row{index:03}")).collect();
        let rows: Vec<String> = ids.iter().zip(TEXTS).map(|(id, text)| row_of(id, text)).collect();
        let empty = json!(ids.iter().map(|id| json!({"id": id})).collect::<Vec<_>>()).to_string();
        for (way, status) in [("bulk", 201), ("upsert", 201), ("replace", 200), ("patch", 200), ("patch_many", 200)] {
            if way == "bulk" {
                let made = self.send("POST", "/odd", &[], format!("[{}]", rows.join(","))).await;
                self.check(
                    way,
                    (made.status.as_u16(), made.text()),
                    (201, format!(r#"{{"items":[{}]}}"#, rows.join(","))),
                );
            } else if way != "upsert" {
                self.send("POST", "/odd", &[], &empty).await;
            }
            for ((id, row), text) in ids.iter().zip(&rows).zip(TEXTS) {
                let path = format!("/odd/{id}");
                let written = match way {
                    "upsert" | "replace" => self.send("PUT", path, &[], row).await,
                    "patch" => self.send("PATCH", path, &[], row).await,
                    "patch_many" => {
                        // Members of a model and of a dict are not for many rows, but a whole model is one's own.
                        self.send(
                            "PATCH",
                            &path,
                            &[],
                            json!({"meta": {"k": text}, "home": {"city": text}}).to_string(),
                        )
                        .await;
                        let many = json!({"name": text, "tags": [text], "any": [text, {"k": text}]});
                        self.send("PATCH", format!("/odd?id={id}"), &[], many.to_string()).await
                    }
                    _ => continue,
                };
                let told = if way == "patch_many" { r#"{"matched":1,"modified":1}"# } else { row };
                self.check(&format!("{way} {text:?}"), (written.status.as_u16(), written.text()), (status, told));
            }
            let kept = self.send("GET", "/odd?id=startswith.row&limit=1000", &[], "").await;
            self.check(way, kept.text(), format!(r#"{{"items":[{}],"next":null}}"#, rows.join(",")));
            let gone = self.send("DELETE", "/odd?id=startswith.row", &[], "").await;
            self.check(way, gone.json(), json!({"matched": ids.len(), "modified": ids.len()}));
        }
    }

    /// A text is equal to itself and part of what holds it, and no pattern.
    async fn find(&mut self, text: &str) {
        let all = || TEXTS.iter().copied();
        let rows = |of: &dyn Fn(&str) -> bool| -> BTreeSet<String> { all().filter(|t| of(t)).map(id_of).collect() };
        let same = rows(&|other| other == text);
        let only = "&id=not.in.(ada,bob,minus)&fields=id&limit=1000";
        let (plain, choice) = (encoded(text), encoded(&quoted(text)));
        let mut queries = vec![
            (format!("name=eq.{plain}"), same.clone()),
            (format!("name=in.({choice})"), same.clone()),
            (format!("tags=has.{plain}"), same.clone()),
            (format!("home.city=eq.{plain}"), same.clone()),
            (format!("or=(name.eq.{choice},home.city.eq.{choice})"), same.clone()),
            (format!("id=eq.{}", encoded(&id_of(text))), same.clone()),
            (format!("name=startswith.{plain}"), rows(&|other| other.starts_with(text))),
            (format!("name=contains.{plain}"), rows(&|other| other.contains(text))),
        ];
        if !text.contains('*') {
            queries.push((format!("name=like.{plain}"), same.clone()));
            let folded = Pattern::new([text.to_owned()], true);
            queries.push((format!("name=ilike.{plain}"), rows(&|other| folded.matches(other))));
        }
        for (query, wanted) in queries {
            let found = self.send("GET", format!("/odd?{query}{only}"), &[], "").await;
            self.check(&query, (found.status, Self::ids(&found)), (StatusCode::OK, wanted));
        }
        for (filter, wanted) in [
            (json!(["name", "eq", text]), same.clone()),
            (json!(["name", "in", [text]]), same.clone()),
            (json!(["tags", "hasany", [text]]), same),
        ] {
            let not_there = json!(["id", "nin", ["ada", "bob", "minus"]]);
            let body = json!({"filter": {"and": [filter, not_there]}, "limit": 1000, "fields": ["id"]}).to_string();
            let found = self.send("QUERY", "/odd", &[], &body).await;
            self.check(&body, (found.status, Self::ids(&found)), (StatusCode::OK, wanted));
        }
    }

    async fn run(&mut self, at: At, input: &[u8], comes: &str) {
        self.count += 1;
        let id = format!("new{}", self.count);
        let body = String::from_utf8(input.to_vec())
            .map_or(input.to_vec(), |text| text.replace("\"ID\"", &format!("{id:?}")).into_bytes());
        let path = |segment: &[u8]| [b"/odd/", segment].concat();
        let key = format!(r#"{{"id":"{id}","name":"key"}}"#);
        let row = "/odd/scratch".to_owned();
        if matches!(at, Replace | Patch | PatchMany | IfMatch) {
            self.send("PUT", &row, &[], "{}").await;
        }
        let (answer, kept) = match at {
            Create => (self.send("POST", "/odd", &[], &body).await, Some(path(id.as_bytes()))),
            Replace => (self.send("PUT", &row, &[], &body).await, Some(row.into_bytes())),
            Upsert => (self.send("PUT", path(id.as_bytes()), &[], &body).await, Some(path(id.as_bytes()))),
            Patch => (self.send("PATCH", &row, &[], &body).await, Some(row.into_bytes())),
            PatchMany => (self.send("PATCH", "/odd?id=scratch", &[], &body).await, None),
            Query => (self.send("QUERY", "/odd", &[], &body).await, None),
            List => (self.send("GET", [b"/odd?", input].concat(), &[], "").await, None),
            Get => (self.send("GET", path(input), &[], "").await, None),
            Put => (self.send("PUT", path(input), &[], "{}").await, None),
            Delete => (self.send("DELETE", path(input), &[], "").await, None),
            Target => (self.send("GET", input, &[], "").await, None),
            IfMatch => (self.send("PUT", &row, &[("if-match", input)], "{}").await, None),
            IfNoneMatch => (self.send("GET", "/odd/ada", &[("if-none-match", input)], "").await, None),
            Prefer => (self.send("GET", "/odd", &[("prefer", input)], "").await, None),
            Key => {
                let first = self.send("POST", "/odd", &[("idempotency-key", input)], &key).await;
                if first.status == 201 {
                    let again = self.send("POST", "/odd", &[("idempotency-key", input)], &key).await;
                    self.check(comes, (again.text(), again.header("idempotency-replayed")), (first.text(), "true"));
                }
                (first, Some(path(id.as_bytes())))
            }
        };
        let what = format!("{at:?} {}", String::from_utf8_lossy(&input[..input.len().min(200)]));
        if let Some((status, held)) = comes.split_once(' ').filter(|(status, _)| status.starts_with('2')) {
            let mut texts = vec![answer.text()];
            if let Some(kept) = &kept {
                texts.push(self.send("GET", kept, &[], "").await.text());
            }
            let holds = texts.iter().all(|text| text.contains(held));
            if answer.status.as_str() != status || !holds {
                self.wrong(format!("{what}: {} {texts:?} instead of {comes}", answer.status));
            }
        } else {
            let told = told(&answer);
            let is = if comes.contains(' ') { &*told } else { told.split(' ').next().unwrap() };
            self.check(&what, is, comes);
        }
        // Nothing is left of it.
        for path in [kept.unwrap_or_default(), b"/odd/scratch".to_vec()] {
            if path.starts_with(b"/odd/") {
                self.send("DELETE", path, &[], "").await;
            }
        }
    }

    /// Cursors have no authority: whatever is changed in one, it is refused or leads to rows of the list.
    async fn forge(&mut self) {
        let list = "/odd?id=in.(ada,minus)&sort=name&limit=1";
        let first = self.send("GET", list, &[], "").await.json();
        let cursor = first["next"].as_str().unwrap().to_owned();
        let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut forged: Vec<String> = Vec::new();
        for (at, own) in cursor.bytes().enumerate() {
            let place = digits.iter().position(|digit| *digit == own).unwrap();
            for bit in [1, 32] {
                let mut bytes = cursor.clone().into_bytes();
                bytes[at] = digits[place ^ bit];
                forged.push(String::from_utf8(bytes).unwrap());
            }
            forged.push(cursor[..at].to_owned());
        }
        forged.push(cursor.repeat(2));
        forged.push(format!("{cursor}%3D"));
        forged.push(format!("{cursor}%00"));
        forged.push(format!("%20{cursor}"));
        let mut refused = 0;
        for cursor in &forged {
            let answer = self.send("GET", format!("{list}&cursor={cursor}"), &[], "").await;
            if answer.status == 200 {
                let ids = Self::ids(&answer);
                if !ids.iter().all(|id| ["ada", "minus"].contains(&&**id)) {
                    self.wrong(format!("{cursor} leads to {ids:?}"));
                }
            } else {
                refused += 1;
                self.check(cursor, told(&answer), "400 cursor cursor");
            }
        }
        // All of the version and of the hash, at least.
        assert!(refused > 12 * 3, "{refused} of {}", forged.len());
        for other in [
            "/odd?id=in.(ada,bob)&sort=name&limit=1",
            "/odd?id=in.(ada,minus)&sort=-name&limit=1",
            "/odd?id=in.(ada,minus)&sort=n&limit=1",
            "/odd?id=in.(ada,minus)&limit=1",
            "/odd?sort=name",
        ] {
            let answer = self.send("GET", format!("{other}&cursor={cursor}"), &[], "").await;
            self.check(other, told(&answer), "400 cursor cursor");
        }
    }

    /// The texts in the order of their bytes, page by page: each is the boundary of a cursor once.
    async fn walk(&mut self) {
        for (sort, limit) in [("name", 1), ("-name", 3)] {
            let list = format!("/odd?id=not.in.(ada,bob,minus)&sort={sort}&limit={limit}&fields=name");
            let (mut found, mut cursor) = (Vec::new(), String::new());
            loop {
                let page = self.send("GET", format!("{list}{cursor}"), &[], "").await.json();
                let items = page["items"].as_array().unwrap();
                found.extend(items.iter().map(|item| item["name"].as_str().unwrap().to_owned()));
                let Some(next) = page["next"].as_str() else { break };
                cursor = format!("&cursor={next}");
            }
            let mut wanted: Vec<&str> = TEXTS.to_vec();
            wanted.sort_unstable();
            if sort.starts_with('-') {
                wanted.reverse();
            }
            self.check(sort, found, wanted);
        }
    }

    /// That the rows are as they were, and the server answers.
    async fn look(&mut self) {
        for row in ROWS {
            let id: Json = serde_json::from_str(row).unwrap();
            let read = self.send("GET", format!("/odd/{}", id["id"].as_str().unwrap()), &[], "").await;
            self.check("a row that was there", (read.status.as_u16(), read.text()), (200, row.to_owned()));
        }
    }

    async fn attack(&mut self) {
        for (at, input, comes) in CASES {
            self.run(*at, input, comes).await;
        }
        for (at, input, comes) in long_cases() {
            self.run(at, &input, comes).await;
        }
        self.forge().await;
        self.look().await;
        let left = self.send("GET", "/odd?fields=id", &[], "").await;
        self.check("what is left", Self::ids(&left), ["ada", "bob", "minus"].into_iter().collect::<BTreeSet<_>>());

        self.write().await;
        self.create().await;
        for text in TEXTS {
            self.find(text).await;
        }
        self.walk().await;
        self.look().await;
        let count = self.send("GET", "/odd/_count", &[], "").await.json();
        self.check("the count", count, json!({"count": TEXTS.len() + ROWS.len()}));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_is_never_more_than_a_value() {
    let texts: BTreeSet<&str> = TEXTS.iter().copied().collect();
    assert_eq!(texts.len(), TEXTS.len(), "each text once");
    let folder = TempDir::new().unwrap();
    let sqlite = format!("sqlite:///{}", folder.path().join("odd.db").display());
    let mut one = Attacker::of(AnyStore::open_url(&sqlite).await.unwrap()).await;
    if is_off() {
        one.attack().await;
        assert!(one.wrong.is_empty(), "{:#?}", one.wrong);
        return;
    }
    let mongo = Mongo::shared();
    let mut two = Attacker::of(AnyStore::open_url(&mongo.database()).await.unwrap()).await;
    tokio::join!(one.attack(), two.attack());
    assert!(one.wrong.is_empty() && two.wrong.is_empty(), "SQLite: {:#?}\nMongoDB: {:#?}", one.wrong, two.wrong);
    assert_eq!(one.record.len(), two.record.len());
    for (one, two) in one.record.iter().zip(&two.record) {
        assert_eq!(one, two);
    }
}
