"""The daemon's plan and the last events of every workload, asked for at once. `python examples/sdk/plan_async.py`"""

from __future__ import annotations

import asyncio

from spotlane import wire
from spotlane.aio import AsyncAutomationClient, AsyncClient


async def last_event(client: AsyncClient, workload: str) -> wire.WorkloadEvent | None:
    last = None
    async for event in client.events(workload):
        last = event
    return last


async def main() -> None:
    async with AsyncClient.from_env() as client, AsyncAutomationClient.from_env(client) as automation:
        plan = await automation.plan()
        events = await asyncio.gather(*[last_event(client, item.workload) for item in plan.items])
        for item, event in zip(plan.items, events, strict=True):
            print(f"{item.workload}: {item.verdict} ({item.reason}); last: {event.state if event else 'nothing'}")


if __name__ == "__main__":
    asyncio.run(main())
