//! Principal: the draft of an identity, filled from claims, consumer, SQL name and directory in that order.
//!
//! - In: the claims of one record; the directory.
//! - Out: [`Identity`].
//! - Invariants: claims win over the consumer; the program a user acts through never becomes the principal;
//!   an id of unknown kind can show equality but never a difference.

use super::name::{NameForm, entra_id, non_blank};
use super::{Claims, Identity};
use crate::directory::{Directory, PrincipalEntry, WorkspaceEntry};
use corridor_model::{IdentityBasis, IdentityKeys, Key128, PrincipalType};
use std::borrow::Cow;

/// An identity in the making.
#[derive(Default)]
pub(super) struct Draft<'a> {
    tenant_id: Option<Cow<'a, str>>,
    object_id: Option<Cow<'a, str>>,
    /// Application id of the principal itself.
    own_app_id: Option<Cow<'a, str>>,
    /// Application id of unknown role: the principal's own, or that of the program a user acts through.
    app_id: Option<Cow<'a, str>>,
    upn: Option<Cow<'a, str>>,
    /// Object or client id, kind unknown.
    loose_id: Option<Cow<'a, str>>,
    consumer: Option<Cow<'a, str>>,
    is_known_consumer: bool,
    sql_login: Option<Cow<'a, str>>,
    name: Option<Cow<'a, str>>,
    kind: Option<PrincipalType>,
    is_known: bool,
}

impl<'a> Draft<'a> {
    pub(super) fn from_claims(claims: &Claims<'a>) -> Self {
        let mut draft = Self {
            tenant_id: entra_id(claims.tenant_id.as_ref()),
            object_id: entra_id(claims.object_id.as_ref()),
            app_id: entra_id(claims.app_id.as_ref()),
            name: non_blank(claims.name.as_ref()),
            ..Self::default()
        };
        match claims.upn.as_ref().and_then(NameForm::parse) {
            Some(NameForm::Plain(name)) => draft.name = draft.name.take().or(Some(name)),
            Some(form) => draft.take(form),
            None => {}
        }
        draft
    }

    /// Whether the claims alone name an Entra principal. A user's program is none.
    pub(super) fn has_entra_name(&self, claims: &Claims<'_>) -> bool {
        let is_app = self.app_id.is_some() && claims.type_hint != Some(PrincipalType::User);
        self.has_own_name() || is_app
    }

    /// Takes a name that stands for the principal itself.
    fn take(&mut self, form: NameForm<'a>) {
        match form {
            NameForm::Upn(upn) => self.upn = self.upn.take().or(Some(upn)),
            NameForm::AppOfTenant { app_id, tenant_id } => {
                self.own_app_id = self.own_app_id.take().or(Some(app_id));
                self.tenant_id = self.tenant_id.take().or(Some(tenant_id));
            }
            NameForm::Guid(id) => self.loose_id = self.loose_id.take().or(Some(id)),
            NameForm::Plain(_) => {}
        }
    }

    /// The Kong consumer: its custom id, as the dump completes it, or its user name may be an Entra name.
    pub(super) fn read_consumer(&mut self, claims: &Claims<'a>, directory: &'a Directory) {
        let [id, username, custom_id] = [&claims.consumer_id, &claims.consumer_name, &claims.custom_id]
            .map(|name| non_blank(name.as_ref()));
        let known = directory.consumer(id.as_deref(), username.as_deref());
        self.is_known_consumer = known.is_some();
        let custom_id =
            custom_id.or_else(|| known.and_then(|known| known.custom_id.as_deref()).map(Cow::Borrowed));
        let forms = [&custom_id, &username].map(|name| name.as_ref().and_then(NameForm::parse));
        let entra = forms.into_iter().flatten().find(|form| !matches!(form, NameForm::Plain(_)));
        if claims.type_hint != Some(PrincipalType::Anonymous)
            && let Some(form) = entra
        {
            self.take(form);
        }
        self.name = self.name.take().or_else(|| username.clone());
        self.consumer = custom_id.or(username).or(id);
    }

    /// The name in a SQL record.
    pub(super) fn read_sql_name(&mut self, claims: &Claims<'a>) {
        let Some(raw) = &claims.sql_name else { return };
        let form = match claims.type_hint {
            Some(PrincipalType::SqlLogin) => non_blank(Some(raw)).map(NameForm::Plain),
            _ => NameForm::parse(raw),
        };
        match form {
            Some(NameForm::Plain(name)) => {
                self.name = self.name.take().or_else(|| Some(name.clone()));
                self.sql_login = Some(name);
            }
            Some(form) => self.take(form),
            None => {}
        }
    }

    /// Looks the principal up and fills what the record leaves out.
    pub(super) fn complete(&mut self, claims: &Claims<'a>, directory: &'a Directory) {
        let hint = claims.type_hint;
        let of_object = self.object_id.as_deref().and_then(|id| directory.principal_by_object_id(id));
        let is_person = self.upn.is_some() || hint == Some(PrincipalType::User);
        if !is_person && self.own_app_id.is_none() && self.app_is_principal(hint, of_object, directory) {
            self.own_app_id = self.app_id.clone();
        }
        if let Some(entry) = self.find_principal(claims, of_object, directory) {
            self.adopt_principal(entry);
        }
        if let Some(entry) = self.find_workspace(claims, directory) {
            self.adopt_workspace(entry);
        }
    }

    /// Whether `app_id` names the principal, not the program that a user acts through.
    fn app_is_principal(
        &self,
        hint: Option<PrincipalType>,
        of_object: Option<&PrincipalEntry>,
        directory: &Directory,
    ) -> bool {
        let Some(app_id) = &self.app_id else { return false };
        let Some(object_id) = &self.object_id else { return true };
        if let Some(entry) = of_object {
            match entry.kind {
                Some("user") => return false,
                Some("service_principal" | "managed_identity") => return true,
                _ => {}
            }
        }
        let is_application =
            matches!(hint, Some(PrincipalType::ServicePrincipal | PrincipalType::ManagedIdentity));
        let is_object_of_app = directory
            .principal_by_app_id(app_id)
            .and_then(|entry| entry.object_id.as_deref())
            .is_some_and(|known| known == object_id);
        let is_workspace = directory
            .workspace_by_identity(app_id)
            .is_some_and(|entry| entry.object_id.as_deref() == Some(object_id));
        is_application || is_object_of_app || is_workspace
    }

    /// By the strongest name first. A weaker name counts only if it does not contradict the stronger one:
    /// a UPN may have passed from one person to another.
    fn find_principal<'d>(
        &self,
        claims: &Claims<'a>,
        of_object: Option<&'d PrincipalEntry>,
        directory: &'d Directory,
    ) -> Option<&'d PrincipalEntry> {
        let agrees = |entry: &&PrincipalEntry| match (&self.object_id, &entry.object_id) {
            (Some(mine), Some(known)) => mine == known,
            _ => true,
        };
        let by_object = |id: &str| directory.principal_by_object_id(id);
        let by_either = |id: &str| by_object(id).or_else(|| directory.principal_by_app_id(id));
        let by_app = self.own_app_id.as_deref().and_then(|id| directory.principal_by_app_id(id));
        let found = of_object
            .or_else(|| by_app.filter(agrees))
            .or_else(|| self.upn.as_deref().and_then(|upn| directory.principal_by_upn(upn)).filter(agrees))
            .or_else(|| self.loose_id.as_deref().and_then(by_either));
        if found.is_some() || self.has_own_name() {
            return found;
        }
        claims.sid_id.as_deref().and_then(by_either)
    }

    fn find_workspace<'d>(
        &self,
        claims: &Claims<'a>,
        directory: &'d Directory,
    ) -> Option<&'d WorkspaceEntry> {
        let own = [&self.object_id, &self.own_app_id, &self.loose_id];
        let found = own.into_iter().flatten().find_map(|id| directory.workspace_by_identity(id));
        if found.is_some() || self.has_own_name() {
            return found;
        }
        directory.workspace_by_identity(claims.sid_id.as_deref()?)
    }

    /// Whether an Entra name stands for the principal.
    fn has_own_name(&self) -> bool {
        self.object_id.is_some() || self.own_app_id.is_some() || self.upn.is_some() || self.loose_id.is_some()
    }

    fn adopt_principal(&mut self, entry: &'a PrincipalEntry) {
        self.is_known = true;
        self.loose_id = None;
        self.kind = match entry.kind {
            Some("user") => Some(PrincipalType::User),
            Some("service_principal") => Some(PrincipalType::ServicePrincipal),
            Some("managed_identity") => Some(PrincipalType::ManagedIdentity),
            Some(_) => None,
            None if entry.upn.is_some() => Some(PrincipalType::User),
            None if entry.app_id.is_some() => Some(PrincipalType::ServicePrincipal),
            None => None,
        };
        fill(&mut self.tenant_id, &entry.tenant_id);
        fill(&mut self.object_id, &entry.object_id);
        if self.kind != Some(PrincipalType::User) {
            fill(&mut self.own_app_id, &entry.app_id);
        }
        fill(&mut self.upn, &entry.upn);
        fill(&mut self.name, &entry.display_name);
    }

    fn adopt_workspace(&mut self, entry: &'a WorkspaceEntry) {
        self.is_known = true;
        self.loose_id = None;
        self.kind = Some(PrincipalType::ManagedIdentity);
        fill(&mut self.tenant_id, &entry.tenant_id);
        fill(&mut self.object_id, &entry.object_id);
        fill(&mut self.own_app_id, &entry.client_id);
        if self.name.is_none() {
            self.name = Some(Cow::Borrowed(&entry.workspace));
        }
    }

    pub(super) fn finish(
        mut self,
        claims: &Claims<'a>,
        basis: IdentityBasis,
        directory: &Directory,
    ) -> Identity<'a> {
        let Some(principal_id) = self.canonical_id() else { return Identity::none() };
        let keys = self.keys(claims);
        let principal_type = self.principal_type(claims.type_hint);
        let in_directory = directory.has_principals().then_some(()).and_then(|()| self.is_in(directory));
        let principal_name = self.upn.take().or(self.name.take()).or_else(|| self.sql_login.take());
        let principal_name = principal_name.or_else(|| self.consumer.take());
        Identity {
            principal_id: Some(principal_id),
            principal_type,
            principal_name,
            tenant_id: self.tenant_id,
            object_id: self.object_id,
            app_id: self.own_app_id.or(self.app_id),
            basis,
            keys,
            in_directory,
        }
    }

    fn canonical_id(&self) -> Option<Cow<'a, str>> {
        let of_tenant = |id: &str, prefix: &str| match &self.tenant_id {
            Some(tenant) => Cow::Owned([tenant.as_ref(), "/", prefix, id].concat()),
            None => Cow::Owned([prefix, id].concat()),
        };
        if let Some(object_id) = &self.object_id {
            return Some(of_tenant(object_id, ""));
        }
        if let Some(app_id) = &self.own_app_id {
            return Some(of_tenant(app_id, "app:"));
        }
        if let Some(upn) = &self.upn {
            return Some(upn.clone());
        }
        if let Some(consumer) = &self.consumer {
            return Some(Cow::Owned(["consumer:", consumer].concat()));
        }
        if let Some(login) = &self.sql_login {
            return Some(Cow::Owned(format!("sql:{login}")));
        }
        self.loose_id.clone()
    }

    fn keys(&self, claims: &Claims<'a>) -> IdentityKeys {
        let id_key = |id: &Option<Cow<'_, str>>| id.as_deref().and_then(Key128::of_id);
        let name_key =
            |name: &Option<Cow<'_, str>>| name.as_deref().map(|name| Key128::of_text(&[&lower(name)]));
        let has_own_name = self.object_id.is_some() || self.own_app_id.is_some() || self.upn.is_some();
        let unsure_app = || id_key(&self.app_id).filter(|_| self.upn.is_none() && !self.is_user(claims));
        let unsure_sid = || claims.sid_id.as_deref().and_then(Key128::of_id).filter(|_| !self.is_known);
        let local = if has_own_name { None } else { name_key(&self.consumer).or(name_key(&self.sql_login)) };
        IdentityKeys {
            object_id: id_key(&self.object_id),
            app_id: id_key(&self.own_app_id),
            upn: name_key(&self.upn),
            local: id_key(&self.loose_id)
                .or_else(|| if self.own_app_id.is_none() { unsure_app() } else { None })
                .or(local)
                .or_else(unsure_sid),
        }
    }

    fn is_user(&self, claims: &Claims<'a>) -> bool {
        self.kind == Some(PrincipalType::User) || claims.type_hint == Some(PrincipalType::User)
    }

    fn principal_type(&self, hint: Option<PrincipalType>) -> PrincipalType {
        if hint == Some(PrincipalType::Anonymous) {
            return PrincipalType::Anonymous;
        }
        let has_entra_name = self.object_id.is_some() || self.own_app_id.is_some() || self.upn.is_some();
        match (self.kind, hint) {
            (Some(kind), _) | (None, Some(kind)) => kind,
            _ if self.own_app_id.is_some() => PrincipalType::ServicePrincipal,
            _ if self.upn.is_some() => PrincipalType::User,
            _ if !has_entra_name && self.consumer.is_some() => PrincipalType::Consumer,
            _ if !has_entra_name && self.sql_login.is_some() => PrincipalType::SqlLogin,
            _ => PrincipalType::Unknown,
        }
    }

    /// Whether the directory knows the principal. None when it cannot: a consumer without a dump.
    fn is_in(&self, directory: &Directory) -> Option<bool> {
        let is_local = !self.has_own_name() && self.consumer.is_some();
        if is_local && !directory.has_gateway() {
            return None;
        }
        Some(self.is_known || (is_local && self.is_known_consumer))
    }
}

/// The text in lower case; names in their normal form are already.
fn lower(text: &str) -> Cow<'_, str> {
    let is_lower = |byte: u8| byte.is_ascii() && !byte.is_ascii_uppercase();
    if text.bytes().all(is_lower) { Cow::Borrowed(text) } else { Cow::Owned(text.to_lowercase()) }
}

fn fill<'a>(slot: &mut Option<Cow<'a, str>>, known: &'a Option<String>) {
    if slot.is_none() {
        *slot = known.as_deref().map(Cow::Borrowed);
    }
}
