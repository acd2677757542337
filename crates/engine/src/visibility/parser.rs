//! Recursive descent over the tokens of a query.

use super::ast::{Condition, Operand, Statement};
use super::error::QueryError;
use super::lexer::{Kind, Token, tokens};

/// How deep parentheses and NOT may nest: what a thread's stack surely holds.
const MAX_DEPTH: usize = 100;
/// How many conditions a query may have, so that the SQL made of it stays within SQLite's limits.
const MAX_CONDITIONS: usize = 1000;
/// How many values a query may have: each is a bound parameter.
const MAX_VALUES: usize = 10_000;

const RESERVED: [&str; 20] = [
    "and", "or", "not", "in", "between", "is", "null", "like", "regexp", "order", "group", "by", "limit",
    "select", "from", "where", "asc", "desc", "xor", "drop",
];

/// Which side of an operator an operand is on.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    Left,
    Right,
}

impl Side {
    fn refuse(self, kind: &str) -> QueryError {
        QueryError::InvalidExpression(match self {
            Side::Left => format!("must be a column name but was {kind}"),
            Side::Right => format!("unexpected value type {kind}"),
        })
    }
}

/// Reads a query that is a condition and nothing more; the empty one is none.
pub(crate) fn parse_condition(text: &str) -> Result<Option<Condition>, QueryError> {
    let statement = parse(text)?;
    if statement.limit || !statement.group_by.is_empty() || !statement.order_by.is_empty() {
        return Err(QueryError::NotSupported(
            "a clause other than a condition".to_owned(),
        ));
    }
    Ok(statement.condition)
}

/// Reads a query. The empty one has no condition.
pub(super) fn parse(text: &str) -> Result<Statement, QueryError> {
    let text = text.trim();
    let lower: String = text.chars().take(9).collect::<String>().to_ascii_lowercase();
    // The real server parses "select * from table1 [where ]" and the query; positions in errors count from there.
    let no_condition = lower.starts_with("order by ") || lower.starts_with("group by ");
    let before = if no_condition { 21 } else { 27 };
    let mut parser = Parser {
        tokens: tokens(text),
        at: 0,
        before,
        conditions: 0,
        values: 0,
    };
    let condition = if text.is_empty() || no_condition {
        None
    } else {
        Some(parser.any(0)?)
    };
    let mut statement = Statement {
        condition,
        ..Statement::default()
    };
    if parser.word("group") {
        parser.expect_word("by")?;
        statement.group_by.push(parser.operand(Side::Left)?);
        while parser.symbol(",") {
            statement.group_by.push(parser.operand(Side::Left)?);
        }
    }
    if parser.word("order") {
        parser.expect_word("by")?;
        statement.order_by.push(parser.order_term()?);
        while parser.symbol(",") {
            statement.order_by.push(parser.order_term()?);
        }
    }
    if parser.word("limit") {
        statement.limit = true;
        while !parser.at_end() {
            parser.operand(Side::Right)?;
            parser.symbol(",");
        }
    }
    // A semicolon may end a query.
    parser.symbol(";");
    if parser.at_end() {
        Ok(statement)
    } else {
        Err(parser.unexpected())
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    /// What the real server puts before the query, in characters.
    before: usize,
    conditions: usize,
    values: usize,
}

impl Parser {
    fn any(&mut self, depth: usize) -> Result<Condition, QueryError> {
        let mut parts = vec![self.all(depth)?];
        while self.word("or") || self.symbol("||") {
            parts.push(self.all(depth)?);
        }
        Ok(single(parts, Condition::Any))
    }

    fn all(&mut self, depth: usize) -> Result<Condition, QueryError> {
        let mut parts = vec![self.not(depth)?];
        while self.word("and") || self.symbol("&&") {
            parts.push(self.not(depth)?);
        }
        Ok(single(parts, Condition::All))
    }

    fn not(&mut self, depth: usize) -> Result<Condition, QueryError> {
        if depth > MAX_DEPTH {
            return Err(QueryError::InvalidExpression(format!(
                "nested more than {MAX_DEPTH} deep"
            )));
        }
        if self.word("not") {
            return Ok(Condition::Not(Box::new(self.not(depth + 1)?)));
        }
        if self.symbol("(") {
            let inner = self.any(depth + 1)?;
            self.expect_symbol(")")?;
            return Ok(inner);
        }
        self.conditions += 1;
        if self.conditions > MAX_CONDITIONS {
            return Err(QueryError::InvalidExpression(format!(
                "more than {MAX_CONDITIONS} conditions"
            )));
        }
        let left = self.operand(Side::Left)?;
        self.predicate(left)
    }

    fn predicate(&mut self, left: Operand) -> Result<Condition, QueryError> {
        for operator in ["=", "!=", "<=>", "<=", "<", ">=", ">"] {
            if self.symbol(operator) {
                return Ok(Condition::Compare(left, operator, self.operand(Side::Right)?));
            }
        }
        if self.word("is") {
            let negated = self.word("not");
            if self.word("null") {
                return Ok(Condition::IsNull { left, negated });
            }
            if self.word("true") || self.word("false") {
                return Ok(Condition::IsOther);
            }
            return Err(self.unexpected());
        }
        let negated = self.word("not");
        if self.word("in") {
            self.expect_symbol("(")?;
            let mut values = vec![self.operand(Side::Right)?];
            while self.symbol(",") {
                values.push(self.operand(Side::Right)?);
            }
            self.expect_symbol(")")?;
            return Ok(Condition::In {
                left,
                values,
                negated,
            });
        }
        if self.word("between") {
            let low = self.operand(Side::Right)?;
            self.expect_word("and")?;
            return Ok(Condition::Between {
                left,
                low,
                high: self.operand(Side::Right)?,
                negated,
            });
        }
        for (word, plain, not) in [
            ("starts_with", "STARTS_WITH", "NOT STARTS_WITH"),
            ("like", "LIKE", "NOT LIKE"),
            ("regexp", "REGEXP", "NOT REGEXP"),
        ] {
            if self.word(word) {
                return Ok(Condition::Compare(
                    left,
                    if negated { not } else { plain },
                    self.operand(Side::Right)?,
                ));
            }
        }
        if negated {
            Err(self.unexpected())
        } else {
            Ok(Condition::Bare(left))
        }
    }

    /// A name or a literal. Everything else that SQL knows is refused, in words that depend on the side.
    fn operand(&mut self, side: Side) -> Result<Operand, QueryError> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(QueryError::InvalidExpression(format!(
                "more than {MAX_VALUES} names and values"
            )));
        }
        let operand = match self.peek().clone() {
            Kind::Word(word) => match word.to_ascii_lowercase().as_str() {
                "true" => Operand::Bool(true),
                "false" => Operand::Bool(false),
                "null" => Operand::Null,
                reserved if RESERVED.contains(&reserved) => return Err(self.unexpected()),
                _ => Operand::Attribute(word),
            },
            Kind::Name(name) => Operand::Attribute(name),
            Kind::Str(text) => Operand::Str(text),
            Kind::Number(digits) => Operand::Number(digits),
            Kind::Symbol(sign @ ("-" | "+")) => {
                self.at += 1;
                match self.peek().clone() {
                    Kind::Number(digits) if sign == "-" => Operand::Number(format!("-{digits}")),
                    Kind::Number(digits) => Operand::Number(digits),
                    _ => return Err(self.unexpected()),
                }
            }
            Kind::Symbol("!") if side == Side::Left => {
                return Err(QueryError::NotSupported(
                    "expression of type *sqlparser.UnaryExpr".into(),
                ));
            }
            Kind::Symbol("(") if side == Side::Right => return Err(side.refuse("*sqlparser.ParenExpr")),
            _ => return Err(self.unexpected()),
        };
        self.at += 1;
        match self.peek() {
            Kind::Symbol("(") if matches!(operand, Operand::Attribute(_)) => Err(match side {
                Side::Left => side.refuse("*sqlparser.FuncExpr"),
                Side::Right => QueryError::NotSupported("nested func".into()),
            }),
            Kind::Symbol("+" | "-" | "*" | "/" | "%") => Err(side.refuse("*sqlparser.BinaryExpr")),
            _ => Ok(operand),
        }
    }

    fn order_term(&mut self) -> Result<(Operand, bool), QueryError> {
        let operand = self.operand(Side::Left)?;
        let descending = !self.word("asc") && self.word("desc");
        Ok((operand, descending))
    }

    fn peek(&self) -> &Kind {
        self.tokens.get(self.at).map_or(&Kind::End, |token| &token.kind)
    }

    fn at_end(&self) -> bool {
        self.peek() == &Kind::End
    }

    fn word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Kind::Word(found) if found.eq_ignore_ascii_case(word));
        self.at += usize::from(found);
        found
    }

    fn symbol(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Kind::Symbol(found) if *found == symbol);
        self.at += usize::from(found);
        found
    }

    fn expect_word(&mut self, word: &str) -> Result<(), QueryError> {
        if self.word(word) {
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    fn expect_symbol(&mut self, symbol: &str) -> Result<(), QueryError> {
        if self.symbol(symbol) {
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    fn unexpected(&self) -> QueryError {
        let Some(token) = self.tokens.get(self.at).or(self.tokens.last()) else {
            return QueryError::Malformed {
                position: self.before + 1,
                near: String::new(),
            };
        };
        let near = match &token.kind {
            Kind::Word(word) if RESERVED.contains(&word.to_ascii_lowercase().as_str()) => {
                word.to_ascii_lowercase()
            }
            Kind::Word(text)
            | Kind::Name(text)
            | Kind::Str(text)
            | Kind::Number(text)
            | Kind::Invalid(text) => text.clone(),
            Kind::Symbol(_) | Kind::End => String::new(),
        };
        QueryError::Malformed {
            position: self.before + token.end + 1,
            near,
        }
    }
}

fn single(mut parts: Vec<Condition>, many: fn(Vec<Condition>) -> Condition) -> Condition {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            many(parts)
        }
        None => many(parts),
    }
}
