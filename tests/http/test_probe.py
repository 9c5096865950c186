import pytest
@pytest.mark.parametrize("i", range(40))
async def test_x(api, i):
    r = await api.send("sam")

    r = await api.client.get("/v1/users/sam")
    r = await api.client.get("/v1/users/sam/metrics")
