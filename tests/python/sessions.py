"""An app of the tests of pages whose users sign in by name and password, with sessions of its own."""

from __future__ import annotations

from typing import Annotated

from ziggurat import Depends, HTTPException, Ziggurat
from ziggurat.security import OAuth2PasswordBearer, OAuth2PasswordRequestForm

app = Ziggurat()
session = OAuth2PasswordBearer("login")


@app.post("/login")
async def login(form: Annotated[OAuth2PasswordRequestForm, Depends()]) -> dict[str, str]:
    if form.password != "engine":
        raise HTTPException(401, "there is no user with this password", {"www-authenticate": "Bearer"})
    return {"access_token": f"session of {form.username}", "token_type": "bearer"}


@app.get("/me", tags=["users"])
async def me(token: Annotated[str, Depends(session)]) -> dict[str, str]:
    return {"token": token}


if __name__ == "__main__":
    app.run()
