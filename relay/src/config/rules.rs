//! Rules for the caps of single plugins: `[[credit.plugin]]`.

use super::Credit;
use super::CreditRule;
use super::check::read_number;
use super::error::Problem;
use super::keys::{CAP_INITIAL, CAP_MAX, CAP_MIN, Number, RULE_READER, RULE_WRITER};
use super::raw::{RawRule, Value};
use super::value::size;
use limits::{CREDIT_RULES_MAX, NAME_BYTES_MAX};

/// Reads the rules; what one does not say follows from `credit` and from what it says.
pub(super) fn read(raw: Vec<RawRule>, credit: &Credit, problems: &mut Vec<Problem>) -> Vec<CreditRule> {
    if let Some(rule) = raw.get(CREDIT_RULES_MAX) {
        let expected = format!("there may be {CREDIT_RULES_MAX} at the most");
        problems.push(Problem { place: rule.place.clone(), what: "too many rules".to_owned(), expected });
    }
    raw.into_iter().map(|rule| Reader { rule, problems: &mut *problems }.rule(credit)).collect()
}

/// One rule that is being read.
struct Reader<'a> {
    rule: RawRule,
    problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    fn rule(mut self, credit: &Credit) -> CreditRule {
        let (writer, reader) = (self.pattern(RULE_WRITER), self.pattern(RULE_READER));
        let named = [RULE_WRITER, RULE_READER].iter().any(|key| self.rule.given.contains_key(key));
        let (least, first, most) = (self.cap(&CAP_MIN), self.cap(&CAP_INITIAL), self.cap(&CAP_MAX));
        if !named {
            self.refuse("credit.plugin".to_owned(), "must say whose caps these are, by writer or reader".to_owned());
        }
        let cap_max_bytes = most.unwrap_or_else(|| {
            let said = least.max(first).unwrap_or(0);
            credit.cap_max_bytes.max(said)
        });
        let cap_min_bytes =
            least.unwrap_or_else(|| credit.cap_min_bytes.min(first.unwrap_or(cap_max_bytes)).min(cap_max_bytes));
        // With a floor above the ceiling there is nothing between them; that is said below.
        let cap_initial_bytes = first.unwrap_or_else(|| credit.cap_initial_bytes.max(cap_min_bytes).min(cap_max_bytes));
        for (value, above, key) in [
            (cap_min_bytes, cap_initial_bytes, "cap_initial_bytes"),
            (cap_initial_bytes, cap_max_bytes, "cap_max_bytes"),
            (cap_max_bytes, credit.memory_bytes / 2, "half of credit.memory_bytes"),
        ] {
            if value > above {
                self.refuse(
                    format!("credit.plugin with {}", size(value)),
                    format!("must be at most {key}, which is {}", size(above)),
                );
            }
        }
        CreditRule { writer, reader, cap_min_bytes, cap_initial_bytes, cap_max_bytes }
    }

    fn pattern(&mut self, key: &'static str) -> Option<String> {
        let given = self.rule.given.get(key)?;
        match &given.value {
            Value::Text(text) if text.len() <= NAME_BYTES_MAX => Some(text.clone()),
            _ => {
                let expected = format!("must be a text of at most {NAME_BYTES_MAX} bytes, as in \"camera*\"");
                self.problems.push(Problem { place: given.place.clone(), what: given.shown.clone(), expected });
                None
            }
        }
    }

    fn cap(&mut self, number: &Number) -> Option<u64> {
        let given = self.rule.given.get(number.key.name)?;
        match read_number(number, &given.value) {
            Ok(bytes) => Some(bytes),
            Err(expected) => {
                self.problems.push(Problem { place: given.place.clone(), what: given.shown.clone(), expected });
                None
            }
        }
    }

    fn refuse(&mut self, what: String, expected: String) {
        self.problems.push(Problem { place: self.rule.place.clone(), what, expected });
    }
}
