//! Which search attributes are taken; the messages as the real server gave them for the same attributes.

use serde_json::json;

use super::*;

#[test]
fn wrong_attributes_are_refused_in_the_real_servers_words() {
    let (_, registry) = database();
    for (given_json, expected) in [
        (
            json!({"Nope": 5}),
            "Namespace default has no mapping defined for search attribute Nope".to_owned(),
        ),
        (
            json!({"WorkflowType": "x"}),
            "WorkflowType attribute can't be set in SearchAttributes".to_owned(),
        ),
        (json!({"IntField": "x"}), value("IntField", "Int", "x")),
        (json!({"IntField": 5.5}), value("IntField", "Int", "5.5")),
        (json!({"IntField": [1, 2]}), value("IntField", "Int", "[1 2]")),
        (json!({"KwField": 5}), value("KwField", "Keyword", "5")),
        (
            json!({"KwField": ["a", "b"]}),
            value("KwField", "Keyword", "[a b]"),
        ),
        (json!({"KlField": "a"}), value("KlField", "KeywordList", "a")),
        (json!({"KlField": [1]}), value("KlField", "KeywordList", "[1]")),
        (json!({"BoolField": "x"}), value("BoolField", "Bool", "x")),
        (json!({"DtField": "x"}), value("DtField", "Datetime", "x")),
        (json!({"DtField": 5}), value("DtField", "Datetime", "5")),
        (json!({"DblField": "x"}), value("DblField", "Double", "x")),
        (
            json!({"TextField": ["a b", "c"]}),
            value("TextField", "Text", "[a b c]"),
        ),
        (
            json!({"KwField": "a".repeat(2100)}),
            "search attribute KwField value size 2102 exceeds size limit 2048".to_owned(),
        ),
    ] {
        let error = IndexedAttributes::new(&given(given_json), &registry, &crate::limits::Limits::default())
            .unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

fn value(name: &str, ty: &str, value: &str) -> String {
    format!("invalid value for search attribute {name} of type {ty}: {value}")
}

#[test]
fn what_is_taken_comes_back_with_its_type() {
    let (_, registry) = database();
    let taken = attributes(
        &registry,
        json!({"KwField": ["a"], "IntField": null, "KlField": [], "DblField": 3, "BuildIds": ["b"], "TextField": ""}),
    );
    let mut fields: Vec<_> = taken.message().indexed_fields.iter().collect();
    fields.sort_by_key(|(name, _)| name.as_str());
    let fields: Vec<_> = fields
        .into_iter()
        .map(|(name, payload)| {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            (
                name.as_str(),
                text(&payload.metadata["type"]),
                text(&payload.data),
            )
        })
        .collect();
    let field = |name, ty: &str, data: &str| (name, ty.to_owned(), data.to_owned());
    assert_eq!(
        fields,
        [
            field("BuildIds", "KeywordList", "[\"b\"]"),
            field("DblField", "Double", "3"),
            field("KwField", "Keyword", "\"a\""),
            field("TextField", "Text", "\"\""),
        ]
    );
}

#[test]
fn what_was_accepted_outlives_its_registration() {
    let (conn, mut registry) = database();
    let before = attributes(&registry, json!({"KwField": "a", "IntField": 1}));
    assert!(registry.remove(&conn, "KwField").unwrap());
    let after = IndexedAttributes::accepted(before.message(), &registry);
    assert_eq!(after.message(), before.message());
    assert_eq!(after.values().len(), 1);
}

#[test]
fn a_name_registered_again_with_another_type_starts_afresh() {
    let (conn, mut registry) = database();
    start(&conn, 1, &attributes(&registry, json!({"KwField": "5"})));
    assert!(registry.remove(&conn, "KwField").unwrap());
    assert!(Query::parse("KwField = '5'", &registry).is_err());
    assert!(registry.add(&conn, "KwField", AttributeType::Int).unwrap());
    assert_eq!(Registry::load(&conn, NAMESPACE, "default").unwrap(), registry);
    assert_eq!(keys(&conn, &registry, "KwField IS NOT NULL", 10), NONE);
    assert!(registry.remove(&conn, "KwField").unwrap());
    assert!(registry.add(&conn, "KwField", AttributeType::Keyword).unwrap());
    assert_eq!(keys(&conn, &registry, "KwField = '5'", 10), [1]);
}

#[test]
fn names_in_use_are_refused() {
    let (conn, mut registry) = database();
    assert!(!registry.add(&conn, "KwField", AttributeType::Keyword).unwrap());
    assert!(matches!(
        registry.add(&conn, "KwField", AttributeType::Int),
        Err(RegistryError::OtherType { .. })
    ));
    assert!(matches!(
        registry.add(&conn, "BuildIds", AttributeType::Int),
        Err(RegistryError::Reserved(_))
    ));
    assert!(matches!(
        registry.remove(&conn, "StartTime"),
        Err(RegistryError::Reserved(_))
    ));
    assert!(!registry.remove(&conn, "Nope").unwrap());
}
