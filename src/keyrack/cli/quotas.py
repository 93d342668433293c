"""`keyrack quotas`."""

from typing import Annotated

import typer

from keyrack.cli.common import Json, show_list, with_store


def quotas(
    *,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Id of a tenant; unset: all.")] = None,
    as_json: Json = False,
) -> None:
    """Show the quotas of tenants and how much of each is used."""
    from keyrack.service.authz.quotas import QuotaUse, usage
    from keyrack.settings import load_settings
    from keyrack.store.quota_usage import Quota
    from keyrack.wiring.configuration import quota_limits

    limits = quota_limits(load_settings())
    found = with_store(lambda store: usage(store, limits, tenant))

    def row(of: QuotaUse) -> dict[str, object]:
        who: dict[str, object] = {"tenant_id": of.tenant_id, "name": of.tenant_name}
        if as_json:
            return who | {quota.value: {"used": used, "limit": of.limits[quota]} for quota, used in of.used.items()}
        return who | {quota.value: f"{used}/{of.limits[quota] or '-'}" for quota, used in of.used.items()}

    columns = ("tenant_id", "name", *(quota.value for quota in Quota))
    show_list(columns, [row(of) for of in found], as_json=as_json)
