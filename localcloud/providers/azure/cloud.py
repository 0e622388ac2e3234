"""The ``azure-native`` package: one handler for every type of the table."""

from __future__ import annotations

from localcloud.providers.azure.arm import Arm, Unfinished
from localcloud.providers.azure.bodies import body, outputs, parameters_of, resource_id
from localcloud.providers.azure.types import TYPES, ArmType
from localcloud.providers.faults import Conflict, PartlyMade, Rejected, Unsupported
from localcloud.providers.ports import Call, Handler, Made, ProviderSettings
from localcloud.providers.rest import Rest
from localcloud.providers.schema import Schemas
from localcloud.providers.values import Props


class ArmHandler:
    """One ARM type. A PUT is both creation and update."""

    fields: frozenset[str] | None = None

    def __init__(self, arm: Arm, schemas: Schemas, token: str) -> None:
        self._arm = arm
        self._schemas = schemas
        self._token = token
        self._kind: ArmType = TYPES[token]

    def create(self, call: Call, inputs: Props) -> Made:
        if "{subscription}" in self._kind.path and not self._arm.subscription:
            raise Rejected("the provider has no subscription: set subscriptionId of azure-native or ARM_SUBSCRIPTION_ID")
        id = resource_id(self._kind, self._arm.subscription, inputs)
        # As azure-native: a PUT would silently take over what another made.
        if not call.resumed and self._arm.get(id, self._kind.version) is not None:
            raise Conflict(f"cannot create already existing resource {id}; import it or choose another name", "Exists")
        try:
            document = self._arm.put(call, id, self._kind.version, body(self._schemas, self._token, self._kind, inputs))
        except Unfinished as error:
            # As azure-native: what a failed operation left behind is the engine's from now on, which takes it down or finishes it.
            left = self._arm.get(id, self._kind.version)
            if left is None:
                raise
            raise PartlyMade(str(left.get("id") or id), outputs(self._token, self._kind, left), f"{error.code}: {error}") from error
        return Made(str(document.get("id") or id), outputs(self._token, self._kind, document))

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        document = self._arm.get(id, self._kind.version)
        if document is None:
            return None
        state = outputs(self._token, self._kind, document)
        # At an import, nothing but the id tells the resource's group and names.
        return Made(str(document.get("id") or id), state if known else {**parameters_of(self._kind, id), **state})

    def update(self, call: Call, id: str, known: Props, old: Props, new: Props) -> Props:
        document = body(self._schemas, self._token, self._kind, new)
        unset = [name for name in self._kind.embedded if name not in new]
        if unset and (current := self._arm.get(id, self._kind.version)) is not None:
            there = current.get("properties") or {}
            document.setdefault("properties", {}).update({name: there[name] for name in unset if there.get(name)})
        return outputs(self._token, self._kind, self._arm.put(call, id, self._kind.version, document))

    def delete(self, call: Call, id: str, known: Props) -> None:
        self._arm.delete(call, id, self._kind.version)


class AzureConnection:
    """One configuration of the provider."""

    def __init__(self, arm: Arm, schemas: Schemas) -> None:
        self._arm = arm
        self._schemas = schemas

    def prepare(self, token: str, inputs: Props) -> Props:
        """The provider's ``location`` goes to located resources that name none."""
        kind = TYPES.get(token)
        if kind is not None and kind.located and self._arm.location and inputs.get("location") is None:
            return {**inputs, "location": self._arm.location}
        return inputs

    def places(self, token: str, inputs: Props) -> Props:
        """None: an ARM id says where a resource is."""
        return {}

    def handler(self, token: str) -> Handler | None:
        """The handler of a type."""
        return ArmHandler(self._arm, self._schemas, token) if token in TYPES else None

    def invoke(self, token: str, arguments: Props) -> Props:
        """A function's result."""
        if token == "azure-native:authorization:getClientConfig":
            config = self._arm.config
            names = {"clientId": "clientId", "objectId": "objectId", "tenantId": "tenantId"}
            return {
                **{name: str(config.get(key) or "00000000-0000-0000-0000-000000000000") for name, key in names.items()},
                "subscriptionId": self._arm.subscription,
            }
        raise Unsupported(f"{token}: the local cloud doesn't have this function; of azure-native it has azure-native:authorization:getClientConfig")


class AzurePackage:
    """Makes connections."""

    package = "azure-native"
    types = frozenset(TYPES)

    def __init__(self, settings: ProviderSettings) -> None:
        self._rest = Rest(settings)
        self._schemas = Schemas(self.package)

    def connect(self, config: Props) -> AzureConnection:
        """A connection with a provider's config."""
        return AzureConnection(Arm(self._rest, config), self._schemas)
