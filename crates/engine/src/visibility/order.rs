//! The order of lists, in SQL and in memory. Both must agree with each other.

use std::cmp::Ordering;

use rusqlite::types::Value;

use super::filter::OrderTerm;
use super::sql::{Sql, field_sql, never_null};
use super::token::Place;

/// Rows with the same values are by key, in the direction of the first term: so an index on one column can serve.
fn key_descends(order: &[OrderTerm]) -> bool {
    order.first().is_none_or(|term| term.descending)
}

/// ` ORDER BY …`; `table` has the columns of the default order.
pub(super) fn order_by(sql: &mut Sql, order: &[OrderTerm], table: &str) {
    sql.push(" ORDER BY ");
    if order.is_empty() {
        for column in ["order_time", "start_time"] {
            sql.push(table).push(".").push(column).push(" DESC, ");
        }
        sql.push(table).push(".key DESC");
        return;
    }
    for term in order {
        sql.push(&field_sql(term.field))
            .push(if term.descending { " DESC" } else { " ASC" });
        sql.push(if never_null(term.field) {
            ", "
        } else {
            " NULLS LAST, "
        });
    }
    sql.push(if key_descends(order) {
        "e.key DESC"
    } else {
        "e.key ASC"
    });
}

/// The condition that a row comes after the place.
pub(super) fn after(sql: &mut Sql, order: &[OrderTerm], table: &str, place: &Place) {
    // Comparisons of rows of values, where they will do, can be looked up in an index.
    let row = match order {
        [] => format!("({table}.order_time, {table}.start_time, {table}.key) < "),
        [term] if never_null(term.field) => {
            format!(
                "({}, e.key) {} ",
                field_sql(term.field),
                if term.descending { "<" } else { ">" }
            )
        }
        _ => return after_each(sql, order, place),
    };
    sql.push(&row).bind_list(&place.0);
}

/// Some term is beyond the place and all before it are at the place.
fn after_each(sql: &mut Sql, order: &[OrderTerm], place: &Place) {
    sql.push("(");
    for (index, (term, value)) in order.iter().zip(&place.0).enumerate() {
        at_place(sql, order, place, index);
        let field = field_sql(term.field);
        if *value == Value::Null {
            // Nothing is beyond no value.
            sql.push("0) OR ");
        } else {
            sql.push("(")
                .push(&field)
                .push(if term.descending { " < " } else { " > " })
                .bind(value.clone());
            sql.push(" OR ").push(&field).push(" IS NULL)) OR ");
        }
    }
    at_place(sql, order, place, order.len());
    sql.push(if key_descends(order) {
        "e.key < "
    } else {
        "e.key > "
    });
    sql.bind(place.0.last().cloned().unwrap_or(Value::Null))
        .push("))");
}

fn at_place(sql: &mut Sql, order: &[OrderTerm], place: &Place, terms: usize) {
    sql.push("(");
    for (term, value) in order.iter().zip(&place.0).take(terms) {
        sql.push(&field_sql(term.field))
            .push(" IS ")
            .bind(value.clone())
            .push(" AND ");
    }
}

/// Which of two rows comes first.
pub(super) fn compare(order: &[OrderTerm], a: &Place, b: &Place) -> Ordering {
    let key_descends = key_descends(order);
    for (index, (a, b)) in a.0.iter().zip(&b.0).enumerate() {
        let descending = order.get(index).map_or(key_descends, |term| term.descending);
        let ordering = match (a, b) {
            (Value::Null, Value::Null) => Ordering::Equal,
            (Value::Null, _) => return Ordering::Greater,
            (_, Value::Null) => return Ordering::Less,
            (Value::Integer(a), Value::Integer(b)) => a.cmp(b),
            (Value::Real(a), Value::Real(b)) => a.total_cmp(b),
            (Value::Text(a), Value::Text(b)) => a.cmp(b),
            // All values of an attribute are of one kind.
            _ => Ordering::Equal,
        };
        if ordering != Ordering::Equal {
            return if descending { ordering.reverse() } else { ordering };
        }
    }
    Ordering::Equal
}
