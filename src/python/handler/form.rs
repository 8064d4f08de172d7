//! Parameters that stand in a form.

use std::sync::Arc;

use super::param::Param;
use super::plan::{Plan, Source};
use super::read::MAX_TOLD;
use super::scalar::{Kind, Scalar, is_media_type};
use crate::python::form::{Form, Upload, Value};
use crate::service::{Problem, Violation};

impl Plan {
    /// Fills in what stands in the form; or tells all that is wrong with it.
    pub(super) fn read_form(&self, form: &Form, scalars: &mut [Scalar]) -> Result<(), Problem> {
        let mut wrong = form.wrong.clone();
        for (param, scalar) in self.params.iter().zip(scalars) {
            if param.source != Source::Form {
                continue;
            }
            let at = param.location();
            // That it cannot be read is told already, and that it is missing would not be true.
            if form.wrong.iter().any(|told| told.at == at) {
                continue;
            }
            let values = form.pairs.iter().filter(|(name, _)| **name == *param.alias).map(|(_, value)| value);
            match param.take_values(values) {
                Ok(found) => *scalar = found,
                Err(violations) => wrong.extend(violations),
            }
        }
        for (source, known) in self.forbids.iter().filter(|(source, _)| *source == Source::Form) {
            for (name, _) in form.pairs.iter().filter(|(name, _)| !known.iter().any(|known| **known == **name)) {
                wrong.push(Violation::new(source.at(name.to_string()), "extra_forbidden", "is not known here"));
            }
        }
        if wrong.is_empty() {
            return Ok(());
        }
        wrong.truncate(MAX_TOLD);
        Err(Problem::validation(wrong))
    }
}

impl Param {
    /// Of what was sent under its name. An empty text is what browsers send of a field that nobody filled in, so it counts as none.
    fn take_values<'a>(
        &self,
        mut values: impl DoubleEndedIterator<Item = &'a Value>,
    ) -> Result<Scalar, Vec<Violation>> {
        if let Some(collection) = self.collection() {
            return self.gathered(collection, values.map(|value| self.read_value(value)));
        }
        match values.next_back() {
            Some(Value::Text(text)) if text.is_empty() => self.one(None),
            Some(value) => self.read_value(value).map_err(|violation| vec![violation]),
            None => self.one(None),
        }
    }

    fn read_value(&self, value: &Value) -> Result<Scalar, Violation> {
        match value {
            Value::Text(text) => self.read(text),
            Value::File(file) => self.read_file(file),
        }
    }

    fn read_file(&self, file: &Arc<Upload>) -> Result<Scalar, Violation> {
        let wrong = |code: &'static str, detail: String| Err(Violation::new(self.location(), code, detail));
        if matches!(self.kind(), Kind::Upload | Kind::Bytes) && !self.media_types.is_empty() {
            let given = file.content_type().unwrap_or_default();
            if !self.media_types.iter().any(|taken| is_media_type(given, taken)) {
                return wrong("media_type", format!("must be {}", self.media_types.join(" or ")));
            }
        }
        let value = match self.kind() {
            Kind::Upload => Scalar::Upload(file.clone()),
            Kind::Bytes => match file.bytes() {
                Some(bytes) => Scalar::Bytes(bytes),
                None => return wrong("bytes_type", "must be held in memory".to_owned()),
            },
            _ => return wrong("string_type", "must be a text, and a file was sent".to_owned()),
        };
        self.check(&value)?;
        Ok(value)
    }
}
