//! What is said about wrong queries: each message as the real server 1.32 gave it (over SQLite) for the same query.

use super::*;

#[test]
fn queries_are_refused_in_the_real_servers_words() {
    let (_, registry) = database();
    for (query, expected) in [
        ("Nope = 'x'", "invalid search attribute: Nope"),
        ("workflowtype = 'TypeA'", "invalid search attribute: workflowtype"),
        ("Memo = 'x'", "invalid search attribute: Memo"),
        ("Foo.Bar = 'x'", "invalid search attribute: Foo.Bar"),
        ("`a b` = 'x'", "invalid search attribute: a b"),
        ("KwField = 'a' AND Nope = 1", "invalid search attribute: Nope"),
        ("ORDER BY Nope", "invalid search attribute: Nope"),
        ("GROUP BY Nope", "invalid search attribute: Nope"),
        (
            "group by executionstatus",
            "invalid search attribute: executionstatus",
        ),
    ] {
        refused(&registry, query, expected);
    }
}

#[test]
fn values_of_the_wrong_type_name_the_attribute() {
    let (_, registry) = database();
    for (query, name, ty, value) in [
        ("KwField = 5", "KwField", "Keyword", "5 (type: int64)"),
        ("KwField = true", "KwField", "Keyword", "true (type: bool)"),
        ("KwField = -5", "KwField", "Keyword", "-5 (type: int64)"),
        ("IntField = 'x'", "IntField", "Int", "\"x\" (type: string)"),
        ("IntField > 'a'", "IntField", "Int", "\"a\" (type: string)"),
        ("DblField = '2.5'", "DblField", "Double", "\"2.5\" (type: string)"),
        (
            "BoolField = 'true'",
            "BoolField",
            "Bool",
            "\"true\" (type: string)",
        ),
        ("BoolField = 1", "BoolField", "Bool", "1 (type: int64)"),
        ("KlField = 5", "KlField", "KeywordList", "5 (type: int64)"),
        ("TextField = 5", "TextField", "Text", "5 (type: int64)"),
        (
            "WorkflowType STARTS_WITH 5",
            "WorkflowType",
            "Keyword",
            "5 (type: int64)",
        ),
        (
            "WorkflowType IN ('TypeA', 5)",
            "WorkflowType",
            "Keyword",
            "5 (type: int64)",
        ),
        (
            "WorkflowType BETWEEN 1 AND 2",
            "WorkflowType",
            "Keyword",
            "1 (type: int64)",
        ),
        (
            "WorkflowType LIKE 5",
            "WorkflowType",
            "Keyword",
            "5 (type: int64)",
        ),
        (
            "ExecutionStatus = true",
            "ExecutionStatus",
            "Keyword",
            "true (type: bool)",
        ),
        ("StartTime = true", "StartTime", "Datetime", "true (type: bool)"),
        ("StartTime > 1.5", "StartTime", "Datetime", "1.5 (type: float64)"),
        (
            "ExecutionDuration < true",
            "ExecutionDuration",
            "Int",
            "true (type: bool)",
        ),
        (
            "HistoryLength = '3'",
            "HistoryLength",
            "Int",
            "\"3\" (type: string)",
        ),
    ] {
        let expected = format!(
            "invalid expression: invalid value type for search attribute {name} of type {ty}: {value}"
        );
        refused(&registry, query, &expected);
    }
}

#[test]
fn expressions_without_sense_are_explained() {
    let (_, registry) = database();
    for (query, expected) in [
        ("DtField = 'x'", "unable to parse datetime 'x'"),
        ("DtField > '2026-01-01'", "unable to parse datetime '2026-01-01'"),
        (
            "DtField > '2026-01-02 03:04:05'",
            "unable to parse datetime '2026-01-02 03:04:05'",
        ),
        ("StartTime BETWEEN 5 AND 'x'", "unable to parse datetime 'x'"),
        ("StartTime > '0'", "unable to parse datetime '0'"),
        ("StartTime STARTS_WITH '2026'", "unable to parse datetime '2026'"),
        (
            "ExecutionStatus = 'running'",
            "invalid ExecutionStatus value 'running'",
        ),
        (
            "ExecutionStatus = 'Cancelled'",
            "invalid ExecutionStatus value 'Cancelled'",
        ),
        ("ExecutionStatus = '1'", "invalid ExecutionStatus value '1'"),
        ("ExecutionStatus = 99", "invalid ExecutionStatus value 99"),
        (
            "ExecutionStatus = 1.0",
            "unexpected value type float64 for search attribute ExecutionStatus",
        ),
        (
            "ExecutionStatus STARTS_WITH 'Run'",
            "invalid ExecutionStatus value 'Run'",
        ),
        (
            "ExecutionDuration < 1.5",
            "unexpected value type float64 for search attribute ExecutionDuration",
        ),
        (
            "ExecutionDuration < 'bogus'",
            "invalid duration value for search attribute ExecutionDuration: bogus",
        ),
        (
            "ExecutionDuration < '00:61:00'",
            "invalid duration value for search attribute ExecutionDuration: 00:61:00",
        ),
        (
            "ExecutionDuration > '1h 30m'",
            "invalid duration value for search attribute ExecutionDuration: 1h 30m",
        ),
        (
            "KlField BETWEEN 'a' AND 'b'",
            "cannot do range condition on search attribute 'KlField' of type KeywordList",
        ),
        (
            "BoolField BETWEEN false AND true",
            "cannot do range condition on search attribute 'BoolField' of type Bool",
        ),
        (
            "TextField BETWEEN 'a' AND 'b'",
            "cannot do range condition on search attribute 'TextField' of type Text",
        ),
        (
            "TextField = ''",
            "no tokens found filtering on Text type search attribute TextField",
        ),
        ("WorkflowType", "incomplete expression"),
        (
            "'WorkflowType' = 'TypeA'",
            "must be a column name but was *sqlparser.SQLVal",
        ),
        ("1 = 1", "must be a column name but was *sqlparser.SQLVal"),
        (
            "IntField + 1 = 6",
            "must be a column name but was *sqlparser.BinaryExpr",
        ),
        (
            "length(KwField) = 3",
            "must be a column name but was *sqlparser.FuncExpr",
        ),
        ("IntField = 5 + 0", "unexpected value type *sqlparser.BinaryExpr"),
        ("KwField = null", "unexpected value type *sqlparser.NullVal"),
        (
            "KwField IN ('a', null)",
            "unexpected value type *sqlparser.NullVal",
        ),
        ("KwField = ('a')", "unexpected value type *sqlparser.ParenExpr"),
        ("IntField = 0x5", "unable to parse value \"0x5\""),
        ("KwField = 1.5e400", "unable to parse value \"1.5e400\""),
        (
            "KwField IS true",
            "'IS' operator can only be used as 'IS NULL' or 'IS NOT NULL'",
        ),
    ] {
        refused(&registry, query, &format!("invalid expression: {expected}"));
    }
}

#[test]
fn what_is_not_offered_is_said() {
    let (conn, registry) = database();
    let operator = |operator: &str, ty: &str, name: &str| {
        format!("operator '{operator}' not supported for {ty} type search attribute '{name}'")
    };
    for (query, expected) in [
        ("KlField > 'a'", operator(">", "KeywordList", "KlField")),
        (
            "KlField STARTS_WITH 'a'",
            operator("STARTS_WITH", "KeywordList", "KlField"),
        ),
        ("TextField > 'fox'", operator(">", "Text", "TextField")),
        ("TextField IN ('fox')", operator("IN", "Text", "TextField")),
        ("TextField NOT IN ('a')", operator("NOT IN", "Text", "TextField")),
        (
            "TextField STARTS_WITH 'The'",
            operator("STARTS_WITH", "Text", "TextField"),
        ),
        (
            "WorkflowType like 'Type%'",
            operator("LIKE", "Keyword", "WorkflowType"),
        ),
        (
            "WorkflowType NOT LIKE 'Type%'",
            operator("NOT LIKE", "Keyword", "WorkflowType"),
        ),
        (
            "WorkflowType REGEXP 'Type'",
            operator("REGEXP", "Keyword", "WorkflowType"),
        ),
        (
            "WorkflowType <=> 'TypeA'",
            operator("<=>", "Keyword", "WorkflowType"),
        ),
        (
            "IntField STARTS_WITH 1",
            operator("STARTS_WITH", "Int", "IntField"),
        ),
        (
            "BoolField STARTS_WITH true",
            operator("STARTS_WITH", "Bool", "BoolField"),
        ),
        (
            "DtField STARTS_WITH '2026-01-01T00:00:00Z'",
            operator("STARTS_WITH", "Datetime", "DtField"),
        ),
        (
            "! (WorkflowType = 'TypeA')",
            "expression of type *sqlparser.UnaryExpr".into(),
        ),
        ("true", "expression of type sqlparser.BoolVal".into()),
        ("StartTime > now()", "nested func".into()),
        (
            "WorkflowType = TypeA",
            "column name on the right side of comparison expression (did you forget to quote \"TypeA\"?)"
                .into(),
        ),
        ("WorkflowId = 'w1' LIMIT 1", "'LIMIT' clause".into()),
        (
            "ORDER BY TextField",
            "unable to sort by search attribute type Text".into(),
        ),
        (
            "GROUP BY WorkflowType",
            "'GROUP BY' clause is not supported for search attribute WorkflowType".into(),
        ),
        (
            "GROUP BY KwField",
            "'GROUP BY' clause is not supported for search attribute KwField".into(),
        ),
        (
            "GROUP BY WorkflowType, ExecutionStatus",
            "'GROUP BY' clause supports only a single field".into(),
        ),
    ] {
        refused(
            &registry,
            query,
            &format!("operation is not supported: {expected}"),
        );
    }
    let query = Query::parse("GROUP BY ExecutionStatus ORDER BY ExecutionStatus", &registry).unwrap();
    let error = count(&conn, NAMESPACE, &query).unwrap_err();
    assert_eq!(
        error.to_string(),
        "invalid query: operation is not supported: 'ORDER BY' clause"
    );
}

#[test]
fn syntax_errors_have_the_real_servers_positions() {
    let (_, registry) = database();
    for (query, expected) in [
        ("WorkflowType = 'TypeA' AND", "54"),
        ("WorkflowType =", "42"),
        ("WorkflowType == 'TypeA'", "43"),
        ("WorkflowType IN ()", "46"),
        ("WorkflowType IN 'TypeA'", "51 near 'TypeA'"),
        ("WorkflowType IN ('TypeA'", "52"),
        ("WorkflowType = 'unterminated", "56 near 'unterminated'"),
        ("WorkflowType = '\\", "45"),
        ("WorkflowType = \"x", "45 near 'x'"),
        ("`WorkflowType = 'x'", "47 near 'WorkflowType = 'x''"),
        ("WorkflowType @ 'x'", "42 near '@'"),
        ("KwField = 'beta' KwField = 'x'", "52 near 'KwField'"),
        ("(WorkflowType = 'TypeA'", "51"),
        ("WorkflowType = 'TypeA')", "51"),
        ("SELECT * FROM x", "34 near 'select'"),
        ("order = 'x'", "33 near 'order'"),
        ("WorkflowType = 'TypeA' XOR 1", "54 near 'xor'"),
        ("KwField is not", "42"),
        ("KwField not", "39"),
        ("KwField NOT = 'a'", "41"),
        ("KwField IN ('a',)", "45"),
        ("IntField > 1 > 2", "42"),
    ] {
        refused(
            &registry,
            query,
            &format!("malformed SQL query: syntax error at position {expected}"),
        );
    }
}

#[test]
fn queries_beyond_the_limits_are_refused_and_not_run() {
    let (_, registry) = database();
    let deep = format!("{}KwField = 'a'{}", "(".repeat(5000), ")".repeat(5000));
    let long = vec!["KwField = 'a'"; 5000].join(" OR ");
    let wide = format!("KwField IN ({})", vec!["'a'"; 50_000].join(","));
    for query in [
        deep,
        long,
        wide,
        format!("{}KwField = 'a'", "NOT ".repeat(50_000)),
    ] {
        assert!(matches!(
            Query::parse(&query, &registry),
            Err(QueryError::InvalidExpression(_))
        ));
    }
}

fn refused(registry: &Registry, query: &str, expected: &str) {
    match Query::parse(query, registry) {
        Err(error) => assert_eq!(error.to_string(), format!("invalid query: {expected}"), "{query}"),
        Ok(parsed) => panic!("{query} was taken: {parsed:?}"),
    }
}
