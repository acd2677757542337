//! `[encryption]`.

use std::fs;

use segno::config::{Code, Config};

use super::list;

#[test]
fn encryption_has_keys() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in [
        ("good", "ab".repeat(32)),
        ("short", "ab".repeat(16)),
        ("words", "hunter2 hunter2".to_owned()),
    ] {
        fs::write(folder.path().join(name), format!("{text}\n")).expect("a file");
    }
    let parse = |table: &str| {
        let text = format!("[encryption]\n{table}");
        Config::parse("segno.toml", &text, folder.path())
    };
    let right = "keys = [{ name = \"b\", file = \"good\" }, { name = \"a\", file = \"good\" }]\n\
                 codec_origins = [\"http://localhost:8233\"]";
    let config = parse(right).expect("no mistakes");
    assert_eq!(config.encryption.names().collect::<Vec<_>>(), ["b", "a"]);
    assert_eq!(config.codec_origins, ["http://localhost:8233"]);
    for (table, code) in [
        ("", Code::Missing),
        ("keys = []", Code::EncryptionKey),
        ("keys = [{ name = \"a\", file = \"short\" }]", Code::EncryptionKey),
        ("keys = [{ name = \"a\", file = \"words\" }]", Code::EncryptionKey),
        (
            "keys = [{ name = \"a\", file = \"nowhere\" }]",
            Code::EncryptionKey,
        ),
        (
            "keys = [{ name = \"a\", env = \"SEGNO_TEST_NOT_SET\" }]",
            Code::EncryptionKey,
        ),
        ("keys = [{ name = \"a\" }]", Code::Missing),
        ("keys = [{ file = \"good\" }]", Code::Missing),
        ("keys = [{ name = \"a\", key = \"swordfish\" }]", Code::UnknownKey),
        (
            "keys = [{ name = \"a\", file = \"good\" }, { name = \"a\", file = \"good\" }]",
            Code::DuplicateName,
        ),
        (
            "keys = [{ name = \"a\", file = \"good\" }]\ncodec_origins = [\"http://localhost:8233/\"]",
            Code::Value,
        ),
        (
            "keys = [{ name = \"a\", file = \"good\" }]\ncodec_origin = []",
            Code::UnknownKey,
        ),
    ] {
        let mistakes = parse(table).expect_err(table);
        let codes: Vec<_> = mistakes.iter().map(|mistake| mistake.code()).collect();
        assert_eq!(codes, [code], "{table}: {:?}", list(&mistakes));
        for mistake in &mistakes {
            assert!(!mistake.message().contains("hunter2"), "{}", mistake.message());
        }
    }
}
