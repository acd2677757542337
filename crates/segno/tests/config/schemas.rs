//! `[schemas]`.

use segno::config::Code;

use super::{list, parse};

#[test]
fn mistakes_in_schemas() {
    for (schema, line) in [
        ("[schemas.\"t\"]\n", 1),
        ("[schemas.\"t\"]\nschema = { type = \"objekt\" }", 2),
        ("[schemas.\"t\"]\nschema = { }\nfile = \"x.json\"", 1),
        ("[schemas.\"t\"]\nfile = \"gone.json\"", 2),
        ("[schemas.\"t.*\"]\nschema = { }", 1),
        (
            "[schemas.\"t\"]\nschema = { type = \"string\" }\nexamples = [\"a\", 1]",
            3,
        ),
    ] {
        let mistakes = parse(schema).expect_err(schema);
        let found: Vec<_> = mistakes
            .iter()
            .map(|mistake| (mistake.code(), mistake.position().map(|(line, _)| line)))
            .collect();
        assert_eq!(
            found,
            [(Code::Schema, Some(line))],
            "{schema}: {:?}",
            list(&mistakes)
        );
    }
}
