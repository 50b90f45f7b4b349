//! Canary: a secret planted wherever a record may hold one, and the check that it comes out nowhere.
//!
//! - In: the JSON text of a record, its side.
//! - Out: the text with planted secrets; a panic when one reaches an event, a join fact, a rejection or a kept record.
//! - Used by the tests here and by the fuzz targets.

use corridor_model::Side;
use corridor_refine::{Context, Outcome, redact, refine};
use serde_json::{Map, Value, json};

/// The secret. No word, so that nothing else holds it by chance.
pub const CANARY: &str = "Zq7Xv2Planted4Tx9Lw3";

/// The object with secrets in it, as text. None when the text is no JSON object.
pub fn plant(side: Side, text: &str) -> Option<String> {
    let Ok(Value::Object(mut record)) = serde_json::from_str(text) else { return None };
    match side {
        Side::Kong => plant_kong(&mut record),
        Side::Azure => plant_azure(&mut record),
    }
    serde_json::to_string(&record).ok()
}

fn object<'o>(parent: &'o mut Map<String, Value>, name: &str) -> &'o mut Map<String, Value> {
    let slot = parent.entry(name).or_insert_with(|| json!({}));
    if !slot.is_object() {
        *slot = json!({});
    }
    slot.as_object_mut().expect("it was made an object")
}

fn put(parent: &mut Map<String, Value>, members: Value) {
    if let Value::Object(members) = members {
        parent.extend(members);
    }
}

fn plant_kong(entry: &mut Map<String, Value>) {
    let c = CANARY;
    let request = object(entry, "request");
    put(
        object(request, "headers"),
        json!({"authorization": format!("Bearer {c}"), "apikey": c, "cookie": [format!("a={c}"), c],
            "x-auth-token": c, "referer": format!("https://h.example/p?token={c}")}),
    );
    put(
        request,
        json!({"querystring": {"apikey": c, "many": [c, true]}, "body": c, "uri": format!("/a?apikey={c}"),
        "url": format!("https://u:{c}@h.example:443/a?apikey={c}")}),
    );
    let response = object(entry, "response");
    put(response, json!({"body": c}));
    put(
        object(response, "headers"),
        json!({"set-cookie": format!("s={c}"), "location": format!("https://h.example/cb?code={c}")}),
    );
    put(object(object(entry, "ai"), "proxy"), json!({"payload": {"request": c, "response": c}}));
    let message = json!({"message": "no", "password": c}).to_string();
    put(
        entry,
        json!({"upstream_uri": format!("/a?apikey={c}"), "client_secret": c, "denial": {"message": message}}),
    );
}

fn plant_azure(record: &mut Map<String, Value>) {
    let c = CANARY;
    put(
        record,
        json!({"requestUri": format!("https://w.example/p?access_token={c}"), "userProperties": {"apiToken": c}}),
    );
    if record.get("identity").is_some_and(Value::is_object) {
        put(object(object(record, "identity"), "claims"), json!({"aio": c, "puid": c}));
    }
    let properties = object(record, "properties");
    put(
        properties,
        json!({"statement": format!("CREATE LOGIN x WITH PASSWORD = '{c}'"), "queryText": format!("SELECT '{c}'"),
            "Command": format!("SELECT '{c}'"), "ExplainOutput": format!("<sql>'{c}'</sql>"),
            "requestbody": json!({"properties": {"password": c}}).to_string(), "Parameters": {"password": c},
            "Error": {"errorCode": "2108", "message": format!("'https://h.example/x?sig={c}' apikey={c}")}}),
    );
    let input = object(properties, "Input");
    put(
        input,
        json!({"url": format!("https://h.example/x?sig={c}"), "body": {"a": c}, "authentication": {"password": c}}),
    );
    put(object(input, "headers"), json!({"apikey": c, "Cookie": c}));
    put(
        object(properties, "Output"),
        json!({"Response": c, "ADFWebActivityResponseHeaders": {"Set-Cookie": c}}),
    );
}

/// The record once for each value in it, with `secret` as that value.
///
/// # Panics
/// When the text is no JSON.
pub fn plant_everywhere(text: &str, secret: &str) -> Vec<String> {
    let record: Value = serde_json::from_str(text).expect("a record is JSON");
    let mut pointers = Vec::new();
    leaves(&record, String::new(), &mut pointers);
    let plant = |pointer: &String| {
        let mut planted = record.clone();
        *planted.pointer_mut(pointer).expect("it was just found") = secret.into();
        planted.to_string()
    };
    pointers.iter().map(plant).collect()
}

/// JSON pointers of all values that are neither object nor list.
fn leaves(value: &Value, pointer: String, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                leaves(value, format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1")), found);
            }
        }
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(index, item)| leaves(item, format!("{pointer}/{index}"), found));
        }
        _ => found.push(pointer),
    }
}

/// Refines the bytes and keeps their records as a backfill does; returns the number of outcomes.
///
/// # Panics
/// When the canary comes out anywhere.
pub fn refine_all(side: Side, bytes: &[u8], context: &Context) -> usize {
    let mut outcomes = 0;
    refine(side, bytes, context, &mut |outcome| {
        outcomes += 1;
        let mut said = format!("{outcome:?}");
        if let Outcome::Event(refined, text) = &outcome {
            let mut record = Vec::new();
            redact::record(side, text, context.pseudonyms.as_ref(), &mut record);
            let record = String::from_utf8(record).expect("a kept record is text");
            serde_json::from_str::<Value>(&record).expect("a kept record is JSON");
            said = format!("{:?} {:?} {:?} {record}", refined.event, refined.facts, refined.explanation);
        }
        if let Some(at) = said.find(CANARY) {
            let from =
                (0..at.saturating_sub(80) + 1).rev().find(|&at| said.is_char_boundary(at)).unwrap_or(0);
            panic!("a planted secret came out: …{}", &said[from..at + CANARY.len()]);
        }
    });
    outcomes
}
