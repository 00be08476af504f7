# The example's migration image. A team's own has the lines FROM, COPY and RUN, and is built in the folder that has migrations/ and,
# if there is one, pgrollout.toml. With a RELEASE, the digest that was reviewed, the build refuses any other, and a label has it.
ARG PGROLLOUT=localhost/pgrollout:dev
FROM ${PGROLLOUT}
COPY pgrollout.tom[l] ./
COPY migrations migrations
ARG RELEASE=
RUN pgrollout build --out . ${RELEASE:+--release "$RELEASE"}
LABEL pgrollout.release="${RELEASE}"
