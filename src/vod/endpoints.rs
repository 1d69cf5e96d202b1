//! Which host serves a region.
//!
//! Source: "Endpoints" of the VOD API (version 2017-03-21) and the endpoint map of the vendor's SDK.

use crate::error::{Error, ErrorKind, Result};
use crate::ids::masked_address;

/// Regions that are served by the central name, as the vendor's SDK has it. No VOD service is documented there.
const CENTRAL: &str = "\
    ap-northeast-2-pop ap-southeast-2 ap-southeast-3 cn-beijing-finance-1 cn-beijing-finance-pop cn-beijing-gov-1 \
    cn-chengdu cn-edge-1 cn-fujian cn-hangzhou-finance cn-hongkong-finance-pop cn-huhehaote cn-qingdao \
    cn-shanghai-finance-1 cn-shanghai-inner cn-shenzhen-finance-1 cn-shenzhen-inner cn-wuhan cn-wulanchabu \
    cn-yushanfang cn-zhangbei eu-west-1-oxs me-east-1 rus-west-1-pop us-east-1";

/// The region that task and quota queries are documented for.
pub(crate) const TASK_REGION: &str = "cn-shanghai";

/// The public endpoint of `region`, with scheme and without a path.
///
/// # Errors
///
/// [`ErrorKind::Usage`] if `region` can't be part of a host name.
pub fn endpoint_of_region(region: &str) -> Result<String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if region.is_empty() || region.len() > 63 || !region.chars().all(plain) {
        let message = format!("{:?} is no region id (such as cn-shanghai)", masked_address(region));
        return Err(Error::new(ErrorKind::Usage, message));
    }
    Ok(match region {
        "cn-hangzhou" => "https://vod.cn-shanghai.aliyuncs.com".to_owned(),
        central if CENTRAL.split(' ').any(|region| region == central) => {
            "https://vod.aliyuncs.com".to_owned()
        }
        other => format!("https://vod.{other}.aliyuncs.com"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_lead_to_the_hosts_of_the_vendors_map() {
        for (region, endpoint) in [
            ("cn-shanghai", "https://vod.cn-shanghai.aliyuncs.com"),
            ("cn-hangzhou", "https://vod.cn-shanghai.aliyuncs.com"),
            ("ap-southeast-1", "https://vod.ap-southeast-1.aliyuncs.com"),
            ("us-east-1", "https://vod.aliyuncs.com"),
            ("xx-new-9", "https://vod.xx-new-9.aliyuncs.com"),
        ] {
            assert_eq!(endpoint_of_region(region).unwrap(), endpoint);
        }
        for bad in ["", "CN-Shanghai", "cn/shanghai", "evil.example.com"] {
            assert_eq!(endpoint_of_region(bad).unwrap_err().kind(), ErrorKind::Usage, "{bad}");
        }
    }
}
