//! Rules for the caps of single plugins: `[[credit.plugin]]`.

use super::Credit;
use super::environment::Environment;
use super::error::Problem;
use super::form::RULE_KEYS;
use super::keys::{Setting, credit as keys};
use super::raw::RawRule;
use super::value::{Value, size};
use bus::cap::{Caps, Rule};
use limits::{CREDIT_RULES_MAX, NAME_BYTES_MAX};

/// Reads the rules; what one does not say follows from `credit` and from what it says.
pub(super) fn read(
    raw: Vec<RawRule>,
    credit: &Credit,
    environment: &Environment,
    problems: &mut Vec<Problem>,
) -> Vec<Rule> {
    if let Some(rule) = raw.get(CREDIT_RULES_MAX) {
        let expected = format!("there may be {CREDIT_RULES_MAX} at the most");
        problems.push(Problem { place: rule.place.clone(), what: "too many rules".to_owned(), expected });
    }
    raw.into_iter().map(|rule| Reader { rule, environment, problems: &mut *problems }.rule(credit)).collect()
}

/// One rule that is being read.
struct Reader<'a> {
    rule: RawRule,
    environment: &'a Environment,
    problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    fn rule(mut self, credit: &Credit) -> Rule {
        let names = [RULE_KEYS[0], RULE_KEYS[1]];
        let named = names.iter().any(|key| self.rule.given.contains_key(key));
        let [writer, reader] = names.map(|key| self.pattern(key));
        let [least, first, most] =
            [keys::cap_min_bytes, keys::cap_initial_bytes, keys::cap_max_bytes].map(|setting| self.cap(&setting));
        if !named {
            self.refuse("credit.plugin".to_owned(), "must say whose caps these are, by writer or reader".to_owned());
        }
        let max_bytes = most.unwrap_or_else(|| {
            let said = least.max(first).unwrap_or(0);
            credit.cap_max_bytes.max(said)
        });
        let min_bytes = least.unwrap_or_else(|| credit.cap_min_bytes.min(first.unwrap_or(max_bytes)).min(max_bytes));
        // With a floor above the ceiling there is nothing between them; that is said below.
        let initial_bytes = first.unwrap_or_else(|| credit.cap_initial_bytes.max(min_bytes).min(max_bytes));
        for (value, above, key) in [
            (min_bytes, initial_bytes, "cap_initial_bytes"),
            (initial_bytes, max_bytes, "cap_max_bytes"),
            (max_bytes, credit.memory_bytes / 2, "half of credit.memory_bytes"),
        ] {
            if value > above {
                self.refuse(
                    format!("credit.plugin with {}", size(value)),
                    format!("must be at most {key}, which is {}", size(above)),
                );
            }
        }
        Rule { writer, reader, caps: Caps { min_bytes, initial_bytes, max_bytes } }
    }

    fn pattern(&mut self, key: &str) -> Option<String> {
        self.value(key, |value| match value {
            Value::Text(text) if text.len() <= NAME_BYTES_MAX => Ok(text.clone()),
            _ => Err(format!("must be a text of at most {NAME_BYTES_MAX} bytes, as in \"camera*\"")),
        })
    }

    fn cap(&mut self, setting: &Setting<u64>) -> Option<u64> {
        let environment = self.environment;
        self.value(setting.key.name, |value| setting.form.read(value, environment))
    }

    fn value<T>(&mut self, key: &str, read: impl FnOnce(&Value) -> Result<T, String>) -> Option<T> {
        let given = self.rule.given.get(key)?;
        given.read(read, self.problems)
    }

    fn refuse(&mut self, what: String, expected: String) {
        self.problems.push(Problem { place: self.rule.place.clone(), what, expected });
    }
}
