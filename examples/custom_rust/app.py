"""A Python app with a layer and a handler of its own in Rust: `ziggurat run app:app`."""

import custom_rust

from ziggurat import Ziggurat, layers

app = Ziggurat(layers=[layers.Trace()])
app.layer(custom_rust.GeoBlock(countries=["AQ"]))
app.native("/double/{number}", custom_rust.double, methods=["GET"])


@app.get("/hello")
async def hello() -> str:
    return "hello from Python"


if __name__ == "__main__":
    app.run()
