# nginx with the fanout module.
#
#     docker build -t nginx-fanout .
#     docker run -p 8080:8080 -v ./nginx.conf:/etc/nginx/nginx.conf:ro \
#         nginx-fanout

FROM debian:12 AS build

RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc make libc6-dev \
        nginx-dev librdkafka-dev libcjson-dev libxxhash-dev

COPY bin/build bin/lib.sh /fanout/bin/
COPY config /fanout/
COPY src /fanout/src/

RUN FANOUT_BUILD=/build /fanout/bin/build normal


FROM debian:12

RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates nginx \
        librdkafka1 libcjson1 libsasl2-modules \
    && rm -rf /var/lib/apt/lists/* \
    && mkdir -p /usr/lib/nginx/modules

COPY --from=build /build/normal/objs/ngx_http_fanout_module.so \
    /usr/lib/nginx/modules/

EXPOSE 8080
STOPSIGNAL SIGQUIT

CMD ["nginx", "-g", "daemon off;"]
