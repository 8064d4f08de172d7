//! A CRUD resource, as Python declares it.

use std::sync::Arc;

use pyo3::prelude::*;

use super::draft::{Draft, is_read};
use super::guarded::{guard_name, guard_of};
use super::settings::{CrudSettings, parse};
use crate::ConfigError;
use crate::crud::schema::DefaultValue;
use crate::crud::{Op, Policy, Resource, ResourceOptions, Schema};
use crate::python::catch::CatchLayer;
use crate::python::handler::Takes;
use crate::python::hooks::Hook;
use crate::service::ErrorFormat;

impl Draft {
    pub(super) fn add_crud(
        &mut self,
        description: &str,
        options: &str,
        hooks: Option<Py<PyAny>>,
    ) -> Result<(), ConfigError> {
        let given: CrudSettings<'_> = parse(options, "CRUD settings")?;
        let schema = Schema::from_description(description).map_err(|error| error.at_if_known(&given.location))?;
        self.check_shard_key(&schema, &given.location)?;
        let ops = |names: &[String]| names.iter().map(|op| op.parse()).collect::<Result<Vec<Op>, _>>();
        let may_be_kept = ops(&given.ops)?.iter().any(|op| is_read(Some(&op.method())));
        let around = self.around(&given.layers, given.skip_layers, may_be_kept, &given.location);
        let errors: ErrorFormat =
            given.errors.parse().map_err(|error: ConfigError| error.at_if_known(&given.location))?;
        let mut options = ResourceOptions::new()
            .errors(errors)
            .path(given.path)
            .ops(ops(&given.ops)?)
            .public(ops(&given.public)?)
            .client_id(given.client_id)
            .page_size(given.default_limit, given.max_limit)
            .max_affected(given.max_affected)
            .gone(given.gone)
            .expandable(given.expandable)
            .dimensions(given.dimensions)
            .measures(given.measures)
            .unindexed(given.unindexed.parse().map_err(|error: ConfigError| error.at_if_known(&given.location))?)
            .offset(given.offset)
            .envelope(given.envelope)
            .upsert(given.upsert)
            .bulk(given.bulk)
            .idempotency(given.idempotency)
            .concurrency(given.concurrency.parse().map_err(|error: ConfigError| error.at_if_known(&given.location))?)
            .coerce(given.coerce.parse().map_err(|error: ConfigError| error.at_if_known(&given.location))?)
            .at(given.location.clone());
        if let Some(bytes) = given.body_limit {
            options = options.body_limit(bytes);
        }
        if let Some(control) = given.cache {
            options = options.cache(control);
        }
        if let Some(names) = given.filterable {
            options = options.filterable(names);
        }
        if let Some(names) = given.sortable {
            options = options.sortable(names);
        }
        if let Some(policy) = given.policy {
            let policy =
                Policy::from_description(&schema, policy.get()).map_err(|error| error.at_if_known(&given.location))?;
            if policy.uses_claims() {
                self.check_auth(&format!("the policy of {}", schema.name), &around, &given.location)?;
            }
            options = options.policy(policy);
        }
        if schema.fields.iter().any(|field| matches!(field.default, Some(DefaultValue::Claim(_)))) {
            self.check_auth(&format!("{}, which takes a field from a claim,", schema.name), &around, &given.location)?;
        }
        for (op, requirements) in given.auth {
            let Some(requirements) = requirements else { continue };
            self.check_auth(&schema.name, &around, &given.location)?;
            let guard = guard_of(&requirements).errors(errors);
            let op = op.parse()?;
            options = options.asks(op, requirements);
            options = options.guard(op, guard_name(&guard), move |route| route.layer(guard.clone()));
        }
        for layer in around.layers {
            options = options.layer(layer.name().to_owned(), move |route| layer.apply(route));
        }
        let catch = match given.hooks.is_empty() {
            true => self.catch_layer(given.catch),
            false => self.catch_layer_of_hooks(given.catch),
        };
        if let Some(catch) = catch {
            options = options.layer(CatchLayer::NAME.to_owned(), move |route| route.layer(catch.clone()));
        }
        options = options.skip(around.skips).closed(given.closed);
        for (op, members) in &given.read_from {
            let members = members.parse().map_err(|error: ConfigError| error.at_if_known(&given.location))?;
            options = options.read_from(op.parse()?, members);
        }
        for name in &given.hooks {
            options = self.add_hook(options, &given.hooks_of, name, given.hook_plans.get(name).copied())?;
        }
        self.objects.hooks.extend(hooks);
        let resource = Resource::new(Arc::new(schema), options);
        resource.check()?;
        if let Some(bytes) = given.body_limit {
            self.body_limits.push((resource.path().to_owned(), bytes));
            self.body_limits.push((resource.item_path(), bytes));
        }
        if resource.ops().any(|op| op == Op::Import) {
            self.body_limits.push((resource.path_of(Op::Import), given.import_limit));
        }
        self.resources.push((resource, given.location));
        Ok(())
    }

    /// Adds the hook of this name, as `before_create`, of the resource whose hooks come next among the objects.
    fn add_hook(
        &self,
        options: ResourceOptions,
        class: &str,
        name: &str,
        plan: Option<usize>,
    ) -> Result<ResourceOptions, ConfigError> {
        let Some((when, op)) = name.split_once('_') else {
            return Err(ConfigError::new(format!("{class}.{name} is not a hook")));
        };
        let op = op.parse()?;
        let hook = Hook {
            index: self.objects.hooks.len(),
            name: format!("{class}.{name}").into(),
            surrounding: self.surrounding.clone(),
            takes: plan.and_then(|place| Some(Takes::new(self.objects.handlers.get(place)?, place))),
        };
        let shown = hook.name.to_string();
        Ok(match when {
            "before" => options.before(op, shown, move |event| hook.clone().before(event)),
            _ => options.after(op, shown, move |event| hook.after(event)),
        })
    }
}
